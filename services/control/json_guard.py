"""Refuses bodies that are no strict JSON, or nested deeper than anything needs, before they are
parsed."""

from __future__ import annotations

import re
from typing import Final

MAX_DEPTH: Final = 32

_STRING: Final = re.compile(rb'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)', re.S)
"""A string, or what was begun as one; it matches at its first quote, so reading is linear."""
_SURROGATE: Final = re.compile(rb"\\\\|\\u[dD]([89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|[89a-fA-F])")
"""An escaped backslash, a pair, or half of one: the group tells them apart by its length."""
_LONG_NUMBER: Final = re.compile(rb"(?<![0-9.])[0-9]{19}")
_OPENING: Final = b"[{"
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def objection(body: bytes, max_depth: int = MAX_DEPTH) -> str | None:
    """Say what is wrong with a body that ought to be JSON, or None; whether it parses is found
    later."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the body is not UTF-8 (byte {error.start})"
    outside = _STRING.sub(b"", body)
    depth = 0
    for character in outside.translate(None, _NOT_BRACKETS):
        depth += 1 if character in _OPENING else -1
        if depth > max_depth:
            return f"the body is nested deeper than {max_depth} levels"
    if b"NaN" in outside or b"Infinity" in outside:
        return "JSON has no NaN and no Infinity; use null, or leave the field out"
    if _LONG_NUMBER.search(outside):
        return "a number has more digits than anything here can count"
    if any(m[1] is not None and len(m[1]) == 1 for m in _SURROGATE.finditer(body)):
        return "a string holds half of a surrogate pair, which no text has"
    return None
