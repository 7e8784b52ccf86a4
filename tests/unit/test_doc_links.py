"""Every relative link of the documentation leads to something that is in the project, headings
included."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|(?:src|href)=\"([^\"]+)\""
)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def links(page: Path) -> list[str]:
    """Relative ones, of the text and not of examples."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", lambda m: "`code`", text)
    return [a or b for a, b in LINK.findall(text) if not ELSEWHERE.match(a or b)]


def anchors(page: Path) -> set[str]:
    """Of its headings, as the forges make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        seen = found.get(name, 0)
        found[name] = seen + 1
        names.add(f"{name}-{seen}" if seen else name)
    return names


def broken(page: Path) -> list[str]:
    wrong = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


def test_there_are_pages_and_links():
    assert {p.name for p in PAGES} >= {"README.md", "CONTRIBUTING.md", "api.md", "security.md"}
    assert sum(len(links(p)) for p in PAGES) > 80


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_resolves(page):
    assert broken(page) == []


def test_what_does_not_lead_anywhere_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.unit.test_doc_links.ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# One `two`, three!\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#one-two-three) [c](#here) ![d](gone.png) [e](../outside.md)\n"
        '[f](there.md#none) [g](https://example.com/x) <img src="images/gone.png"> `[h](code.md)`\n'
        "[i](there.md#twice-1)\n```\n[j](example.md)\n```\n# Here\n"
    )
    assert broken(page) == ["gone.png", "../outside.md", "there.md#none", "images/gone.png"]


def test_what_is_linked_is_committed():
    """A file that lies here and is ignored would be missing for everybody else."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a checkout: there is no list of files")
    files = {(ROOT / f).resolve() for f in listed.stdout.splitlines()}
    for page in PAGES:
        for link in links(page):
            path = unquote(link).partition("#")[0]
            target = (page.parent / path).resolve() if path else page
            assert not target.is_file() or target in files, f"{page.name}: {link} is ignored"
