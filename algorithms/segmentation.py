"""Cuts a response into thinking and answer, and each of them into reasoning steps (figure 4b).

The paper counts "reasoning steps" and does not say how it finds them, so the rule here is ours and
carries a version: counts of different versions must not be compared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

SEGMENTER_VERSION: Final = 1
"""Raised with every change of what counts as a step; written into each result."""

THINK_CLOSE: Final = "</think>"
MIN_FRAGMENT: Final = 5
"""A piece of fewer tokens (words and signs) is no step of its own."""

Segmenter = Literal["blank-lines", "connectors"]

_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n\s*")
_DELIMITER: Final = re.compile(r"```|\$\$|\\\[|\\\]")
_CLOSER: Final = {"```": "```", "$$": "$$", "\\[": "\\]"}


@dataclass(frozen=True)
class Parts:
    """A response as its two parts."""

    thinking: str
    answer: str
    """Empty when the thinking was never closed."""
    closed: bool


def split_thinking(text: str) -> Parts:
    """Split at the last ``</think>``, as the verifier does; without one it is all thinking."""
    thinking, tag, answer = text.rpartition(THINK_CLOSE)
    return Parts(thinking, answer, True) if tag else Parts(text, "", False)


def count_tokens(text: str) -> int:
    """Return the number of words and signs: a measure that needs no model's tokenizer."""
    return sum(1 for _ in _TOKEN.finditer(text))


def reasoning_steps(
    text: str, segmenter: Segmenter = "blank-lines", connectors: Collection[str] = ()
) -> list[str]:
    """Return the steps of a response: those of the thinking, then those of the answer.

    ``blank-lines`` cuts at blank lines; ``connectors`` before a connector that opens a line or a
    sentence, for models that write no blank lines. Neither cuts inside ``$$``, ``\\[ \\]`` or a
    code fence. A fragment of fewer than ``MIN_FRAGMENT`` tokens belongs to the step that follows
    it ("So:" opens one), the last one to the step before.
    """
    parts = split_thinking(text)
    return [
        step
        for part in (parts.thinking, parts.answer)
        for step in _merge(_pieces(part, _cuts(part, segmenter, connectors)))
    ]


def _cuts(text: str, segmenter: Segmenter, connectors: Collection[str]) -> Iterator[int]:
    if segmenter == "blank-lines":
        found = (m.end() for m in _BLANK_LINES.finditer(text))
    elif connectors:
        words = "|".join(map(re.escape, sorted(connectors, key=len, reverse=True)))
        opening = re.compile(rf"(?:^|(?<=[.!?:]\s))[ \t]*(?=(?:{words})\b)", re.MULTILINE)
        found = (m.end() for m in opening.finditer(text))
    else:
        raise ValueError("the segmenter 'connectors' needs the connectors to cut at")
    shielded = _shielded(text)
    span = next(shielded, None)
    for cut in found:
        while span is not None and span[1] <= cut:
            span = next(shielded, None)
        if span is None or cut <= span[0]:
            yield cut


def _shielded(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of display mathematics and code, in one pass.

    Display mathematics that is never closed shields nothing; an open code fence reaches to the end.
    """
    opener, start = "", 0
    for match in _DELIMITER.finditer(text):
        found = match.group()
        if not opener and found in _CLOSER:
            opener, start = found, match.start()
        elif opener and found == _CLOSER[opener]:
            yield start, match.end()
            opener = ""
    if opener == "```":
        yield start, len(text)


def _pieces(text: str, cuts: Iterable[int]) -> Iterator[str]:
    start = 0
    for cut in cuts:
        yield text[start:cut]
        start = cut
    yield text[start:]


def _merge(pieces: Iterable[str]) -> list[str]:
    steps: list[str] = []
    waiting = ""
    for piece in pieces:
        waiting += piece
        if count_tokens(waiting) >= MIN_FRAGMENT:
            steps.append(waiting)
            waiting = ""
    if steps:
        steps[-1] += waiting
    elif waiting.strip():
        steps.append(waiting)
    return [step.strip() for step in steps]
