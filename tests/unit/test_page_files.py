"""The files of the live page: whole, from here alone, and within the page's own policy."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import api.page
from api.page.assets import assets

FOLDER = Path(api.page.__file__).parent
VENDOR = FOLDER / "assets" / "vendor"
OWN = [p for p in FOLDER.rglob("*") if p.suffix in (".js", ".css", ".j2") and p.parent != VENDOR]


def test_what_others_made_is_unchanged_and_licensed():
    said = re.findall(r"`([\w.-]+)` \|.*`([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text())
    kept = {p.name for p in VENDOR.iterdir() if p.suffix in (".js", ".woff2")}
    assert {name for name, _ in said} == kept
    for name, digest in said:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert (
            (VENDOR / f"{Path(name).stem}.LICENSE.txt")
            .read_text()
            .startswith(("The MIT License", "Copyright"))
        )


@pytest.mark.parametrize("path", OWN, ids=lambda p: p.name)
def test_nothing_is_inline_or_from_elsewhere(path):
    text = path.read_text()
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", re.sub(r"(^|\s)//.*", "", text))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    if path.suffix == ".j2":
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|\|\s*safe", text)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize("path", OWN, ids=lambda p: p.name)
def test_every_file_named_is_there(path):
    for name in re.findall(r"""["'(]/assets/([^"')]+)""", path.read_text()):
        assert name in assets()


def test_licences_and_notes_ship_but_are_not_served():
    assert "vendor/uplot.js" in assets()
    assert not [name for name in assets() if name.endswith((".txt", ".md"))]
