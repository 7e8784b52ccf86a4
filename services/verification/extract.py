"""Strict extraction of the boxed answer from a response, with its format flags apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

THINK_CLOSE = "</think>"
MAX_ANSWER = 2048
"""Longest answer looked at, in characters."""

ExtractReason = Literal["boxed", "no_think_close", "no_box", "empty_box", "too_long"]

_TOKEN = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*(\{?)|\\.|[{}]", re.DOTALL)
_BRACELESS = re.compile(r"[^\s$\\{}]+")
_BLANK = re.compile(r"(?:\s|\\[ ,;:!]|~|\$)*")


@dataclass(frozen=True)
class Extraction:
    """What was found in a response."""

    answer: str | None
    """Content of the last balanced box; None unless ``reason`` is ``boxed``."""
    reason: ExtractReason
    n_think_close: int
    n_boxes: int
    """Box commands after the last ``</think>``, unbalanced ones included."""

    @property
    def well_formed(self) -> bool:
        """Exactly one ``</think>``, then exactly one box, which is not empty."""
        return self.n_think_close == 1 and self.n_boxes == 1 and self.answer is not None


def extract(text: str) -> Extraction:
    """Find the answer: the last balanced ``\\boxed{}`` or ``\\fbox{}`` after the last ``</think>``.

    A box before the thinking is closed counts for nothing, so a response cut at the generation cap
    has no answer. Linear in the length of the text.
    """
    closes = text.count(THINK_CLOSE)
    if not closes:
        return Extraction(None, "no_think_close", 0, 0)
    tail = text[text.rindex(THINK_CLOSE) + len(THINK_CLOSE) :]
    content, boxes = _last_box(tail)
    if content is None:
        return Extraction(None, "no_box", closes, boxes)
    if len(content) > MAX_ANSWER:
        return Extraction(None, "too_long", closes, boxes)
    if _BLANK.fullmatch(content):
        return Extraction(None, "empty_box", closes, boxes)
    return Extraction(content.strip(), "boxed", closes, boxes)


def _last_box(tail: str) -> tuple[str | None, int]:
    """Return the content of the balanced box that opens last, and the number of boxes."""
    open_braces: list[int | None] = []
    """Start of the content for a box's brace, None for any other brace."""
    start, content, boxes = -1, None, 0
    for token in _TOKEN.finditer(tail):
        lexeme = token.group()
        if lexeme == "{":
            open_braces.append(None)
        elif lexeme == "}":
            opened = open_braces.pop() if open_braces else None
            if opened is not None and opened > start:
                start, content = opened, tail[opened : token.start()]
        elif token.group(1) is None:
            continue
        else:
            boxes += 1
            if token.group(1):
                open_braces.append(token.end())
            elif lexeme[-1].isspace() and (bare := _BRACELESS.match(tail, token.end())):
                start, content = bare.start(), bare.group().rstrip(".,;")
    return content, boxes
