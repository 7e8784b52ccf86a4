"""Cutting a text where no bracket is open."""

from __future__ import annotations

import re

_BRACKET = re.compile(r"\\begin\{|\\end\{|\\[{}]|\\[A-Za-z]+|\\.|[()\[\]{}]", re.DOTALL)
_OPENING = {"(", "[", "{", r"\{", r"\begin{", r"\lfloor", r"\lceil", r"\langle"}
_CLOSING = {")", "]", "}", r"\}", r"\end{", r"\rfloor", r"\rceil", r"\rangle"}


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Cut a text at each match of the separator outside all brackets; parts are stripped.

    Any opening bracket may be closed by any closing one: intervals mix them.
    """
    if not separator.search(text):
        return [text.strip()]
    spans = _inside(text)
    parts, start = [], 0
    for cut in separator.finditer(text):
        if cut.start() < start or any(a <= cut.start() < b for a, b in spans):
            continue
        parts.append(text[start : cut.start()].strip())
        start = cut.end()
    parts.append(text[start:].strip())
    return parts


def closing(text: str) -> int | None:
    """Return where the bracket that opens the text is closed, or None if it opens with none."""
    spans = _inside(text)
    return spans[0][1] if spans and spans[0][0] == 0 else None


def _inside(text: str) -> list[tuple[int, int]]:
    """Return the outermost bracketed spans, brackets included; an open end runs to the end."""
    spans, depth, start = [], 0, 0
    for found in _BRACKET.finditer(text):
        token = found[0]
        if token in _OPENING:
            if not depth:
                start = found.start()
            depth += 1
            if token == r"\begin{":
                depth += 1  # the brace in it
        elif token in _CLOSING and depth:
            if token == r"\end{":
                depth += 1
            depth -= 1
            if not depth:
                spans.append((start, found.end()))
    if depth:
        spans.append((start, len(text)))
    return spans
