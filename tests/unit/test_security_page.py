"""Every control that docs/security.md names has the test it names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")


def test_the_tests_it_names_are_there():
    checked, file = 0, None
    for name in re.findall(r"`((?:[\w/]+\.py)?(?:::\w+)?)`", PAGE):
        path, _, function = name.partition("::")
        if path:
            file = (
                ROOT / path if path.startswith("tests/") else ROOT / "tests/integration/api" / path
            )
            assert file.is_file(), name
        if function:
            assert f"def {function}(" in file.read_text(encoding="utf-8"), name
        checked += bool(name)
    assert checked > 40
