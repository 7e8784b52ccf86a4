"""Headless Chromium before the real control plane of the folder above."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.api.page.recorded_run import RecordedRun

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) =>
  window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
"""


def chromium() -> Path:
    """The browser on this machine.

    Without one the tests fail: a page that nobody looked at is not a page that works."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("no chromium on this machine; scripts/system-packages.sh installs it")
    return Path(found)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("the package playwright is missing; it is among the dev dependencies")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Reader:
    """A person before the page: a browser window, and what the page did in it."""

    page: object
    url: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of console errors that the test provokes."""

    def open(self, path: str = "/"):
        self.page.goto(self.url + path)
        return self.page

    def check(self) -> None:
        """Nothing left this machine, nothing broke, and the policy held."""
        away = [u for u in self.requests if not u.startswith((self.url, "blob:", "data:"))]
        assert away == []
        unexpected = [e for e in self.errors if not any(x in e for x in self.expected)]
        assert unexpected == []
        assert self.page.evaluate("window.violations") == []


@pytest.fixture
def reader_with(plane, browser) -> Iterator:
    """Make readers; each is checked when the test has ended."""
    made = []

    def make(**options) -> Reader:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(60_000)
        context.add_init_script(WATCH_POLICY)
        page = context.new_page()
        reader = Reader(page, plane.url)
        page.on("request", lambda r: reader.requests.append(r.url))
        page.on("console", lambda m: m.type == "error" and reader.errors.append(m.text))
        page.on("pageerror", lambda e: reader.errors.append(str(e)))
        made.append(reader)
        return reader

    yield make
    for reader in made:
        reader.check()
        reader.page.context.close()


@pytest.fixture
def reader(reader_with) -> Reader:
    return reader_with()


@pytest.fixture
def run(plane) -> RecordedRun:
    """A job in its first stage, not one step done."""
    return RecordedRun(plane, plane.running()).begin()


@pytest.fixture
def pictures() -> Path | None:
    """Where to leave screenshots for a person to look at; nowhere unless asked."""
    folder = os.environ.get("LACONIC_TEST_PICTURES")
    return Path(folder) if folder else None
