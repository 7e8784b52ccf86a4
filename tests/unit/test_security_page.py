"""Every control that docs/security.md names has the test it names, and so has every promise of
docs/operations.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("page", "folder", "least"),
    [("security", "tests/integration/api", 40), ("operations", "tests/integration/restarts", 15)],
)
def test_the_tests_it_names_are_there(page, folder, least):
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    checked, file = 0, None
    for name in re.findall(r"`((?:[\w/]+\.py)?(?:::\w+)?)`", text):
        path, _, function = name.partition("::")
        if path:
            file = ROOT / path if path.startswith("tests/") else ROOT / folder / path
            assert file.is_file(), name
        if function:
            assert f"def {function}(" in file.read_text(encoding="utf-8"), name
        checked += bool(name)
    assert checked > least
