"""Strict extraction of the answer from a response, with its format flags apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from services.verification.policy import RULES, Policy
from services.verification.statement import final_statement, last_number

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
MAX_ANSWER = 2048
"""Longest answer looked at, in characters."""

ExtractReason = Literal[
    "boxed", "stated", "last_number", "no_think_close", "no_box", "empty_box", "too_long"
]

_TOKEN = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*(\{?)|\\.|[{}]", re.DOTALL)
_BRACELESS = re.compile(r"(\\[A-Za-z]+(?:\{[^{}]*\})*|[^\s$\\{}]+)[^\s$\\]*")
_BLANK = re.compile(r"(?:\s|\\[ ,;:!]|~|\$)*")
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*\{([^{}]*)\}")


@dataclass(frozen=True)
class Extraction:
    """What was found in a response."""

    answer: str | None
    """The answer as written; None where ``reason`` says why there is none."""
    reason: ExtractReason
    n_think_close: int
    n_boxes: int
    """Box commands after the last ``</think>``, unbalanced ones included."""
    empty_think: bool = False
    """Nothing but white space was thought: the mode without thinking, or a skipped one."""

    @property
    def well_formed(self) -> bool:
        """Exactly one ``</think>``, then exactly one box, which is not empty."""
        return self.n_think_close == 1 and self.n_boxes == 1 and self.reason == "boxed"


def extract(text: str, policy: Policy = "reward") -> Extraction:
    """Find the answer: the last balanced ``\\boxed{}`` or ``\\fbox{}`` after the last ``</think>``.

    A box before the thinking is closed counts for nothing, so a response cut at the generation cap
    has no answer, nor has one that opens its thinking again. Under ``eval`` a final statement
    counts where there is no box at all; under ``thinkless-parity`` an unfinished response is read
    too, and its last number counts. Linear in the length of the text.
    """
    rules = RULES[policy]
    closes = text.count(THINK_CLOSE)
    if not closes and not rules.first_number:
        return Extraction(None, "no_think_close", 0, 0)
    start = text.rindex(THINK_CLOSE) + len(THINK_CLOSE) if closes else 0
    tail = text[start:]
    if THINK_OPEN in tail and not rules.first_number:
        return Extraction(None, "no_think_close", closes, 0)
    empty = closes == 1 and not text[: start - len(THINK_CLOSE)].removeprefix(THINK_OPEN).strip()
    content, boxes = _last_box(tail)
    reason: ExtractReason = "boxed"
    if content is None and rules.unboxed and not boxes:
        content, reason = final_statement(tail), "stated"
    if content is None and rules.first_number:
        content, reason = last_number(tail), "last_number"
    if content is None:
        return Extraction(None, "no_box", closes, boxes, empty)
    answer = content.strip()
    if len(answer) > MAX_ANSWER:
        return Extraction(None, "too_long", closes, boxes, empty)
    if _BLANK.fullmatch(answer):
        return Extraction(None, "empty_box", closes, boxes, empty)
    return Extraction(answer, reason, closes, boxes, empty)


def _last_box(tail: str) -> tuple[str | None, int]:
    """Return the content of the last balanced box, and the number of boxes.

    Of boxes in each other the outer one is the answer, without the inner commands.
    """
    open_braces: list[int | None] = []
    """Start of the content for a box's brace, None for any other brace."""
    content: str | None = None
    start, end, boxes = -1, -1, 0
    for token in _TOKEN.finditer(tail):
        lexeme = token.group()
        if lexeme == "{":
            open_braces.append(None)
        elif lexeme == "}":
            opened = open_braces.pop() if open_braces else None
            if opened is not None and (opened > end or opened < start):
                start, end = opened, token.start()
                content = tail[start:end]
        elif token.group(1) is None:
            continue
        else:
            boxes += 1
            if token.group(1):
                open_braces.append(token.end())
            elif bare := _BRACELESS.match(tail, token.end()):
                start, end = bare.span()
                content = bare.group().rstrip(".,;")
    nested = content is not None and boxes > 1 and len(content) <= MAX_ANSWER
    return (_unboxed(content) if nested and content else content), boxes


def _unboxed(content: str) -> str:
    """Drop box commands inside an answer and keep what they hold."""
    before = None
    while content != before:
        before, content = content, _BOX.sub(r"\1", content)
    return content
