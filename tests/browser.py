"""Headless Chromium, and what a page did in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 60_000
"""Longest wait for anything on a page: a machine with much to do is no fault of the page."""

_WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) =>
  window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
"""


def find_chromium() -> Path:
    """The browser on this machine.

    Without one the tests fail: a page that nobody looked at is not a page that works."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("no chromium on this machine; scripts/system-packages.sh installs it")
    return Path(found)


@contextmanager
def headless_chromium() -> Iterator[Any]:
    """A browser with a profile of its own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("the package playwright is missing; it is among the dev dependencies")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Reader:
    """A person before the page: a browser window, and what the page did in it."""

    page: Any
    url: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of console errors that the test provokes."""

    @classmethod
    def before(cls, url: str, browser: Any, **options: Any) -> Reader:
        """A reader in a window of its own; ``options`` are those of a Playwright context."""
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(_WATCH_POLICY)
        reader = cls(context.new_page(), url)
        reader.page.on("request", lambda r: reader.requests.append(r.url))
        reader.page.on("console", lambda m: m.type == "error" and reader.errors.append(m.text))
        reader.page.on("pageerror", lambda e: reader.errors.append(str(e)))
        return reader

    def open(self, path: str = "/") -> Any:
        self.page.goto(self.url + path)
        return self.page

    def check(self) -> None:
        """Nothing left this machine, nothing broke, and the policy held."""
        away = [u for u in self.requests if not u.startswith((self.url, "blob:", "data:"))]
        assert away == []
        unexpected = [e for e in self.errors if not any(x in e for x in self.expected)]
        assert unexpected == []
        assert self.page.evaluate("window.violations") == []


def text(page: Any, selector: str) -> str:
    """The words shown there, with single blanks between them."""
    return " ".join(page.inner_text(selector).split())


def shows(page: Any, selector: str, words: str, timeout: float = TIMEOUT_MS) -> None:
    """Wait until the words stand there."""
    page.locator(selector).filter(has_text=words).first.wait_for(timeout=timeout)
