"""Where a response computes: while it thinks or in its answer (paper, figure 5, appendix C).

The paper's claim is that a compressed model plans while it thinks and computes in its answer, where
the base model computes everything twice. A computation here is one relation ``left = right`` whose
sides hold numbers, symbols and operators, found in plain text or LaTeX without solving anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from algorithms.segmentation import count_tokens, split_thinking

COMPUTATIONS_VERSION: Final = 1
"""Raised with every change of what counts as a computation; written into each result."""

_PIECE: Final = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:[.,]\d+)*|[A-Za-z]+|\S")
_RELATION: Final = frozenset({"=", "\\approx"})
_SIGNS: Final = frozenset("+-*/^_(){}[]|!%<>°√π")
_SAME: Final = {
    **dict.fromkeys(("\\cdot", "\\times", "×", "·"), "*"),
    **dict.fromkeys(("\\dfrac", "\\tfrac"), "\\frac"),
    "\\div": "/",
    "÷": "/",
    "−": "-",
    "≈": "\\approx",
}
"""Different writings of one sign."""
_SILENT: Final = frozenset({"$", "&", "\\left", "\\right", "\\,", "\\;", "\\:", "\\!", "\\ "})
"""Markup and spaces within mathematics: left out of it."""
_PROSE: Final = frozenset({"\\text", "\\boxed", "\\fbox", "\\quad", "\\qquad", "\\implies"})
"""Commands that end a relation."""


def computations(text: str) -> list[str]:
    """Return every relation in ``text`` in a normal form, in order; ``a = b = c`` holds two."""
    return [
        f"{left}{relation}{right}"
        for line in text.splitlines()
        for run in _runs(line)
        for left, relation, right in zip(run[::2], run[1::2], run[2::2], strict=False)
        if left and right
    ]


def _runs(line: str) -> Iterator[list[str]]:
    """Yield stretches of mathematics as side, relation, side, relation, ... side."""
    run = [""]
    for piece in _PIECE.findall(line):
        sign = _SAME.get(piece, piece)
        if sign in _SILENT:
            continue
        if sign in _RELATION:
            run += [sign, ""]
        elif _is_mathematics(sign):
            run[-1] += sign
        else:
            yield run
            run = [""]
    yield run


def _is_mathematics(piece: str) -> bool:
    if piece[0] == "\\":
        return piece[1:].isalpha() and piece not in _PROSE
    # One letter is a symbol, two are a word.
    return piece[0].isdigit() or piece in _SIGNS or (len(piece) == 1 and piece.isalpha())


@dataclass(frozen=True)
class ComputationSplit:
    """How the work of one response, or of several, divides at ``</think>``."""

    thinking: int
    """Computations before ``</think>``."""
    answer: int
    """Computations after it."""
    repeated: int
    """Computations, anywhere, that the response had made before."""
    answer_tokens: int
    """Words and signs after ``</think>``."""
    tokens: int
    """Words and signs in all."""

    @property
    def total(self) -> int:
        return self.thinking + self.answer

    @property
    def answer_share(self) -> float | None:
        """Share of the computation after ``</think>``; None when nothing is computed."""
        return self.answer / self.total if self.total else None

    @property
    def repeated_share(self) -> float | None:
        """Duplicate-computation rate; None when nothing is computed."""
        return self.repeated / self.total if self.total else None

    @property
    def answer_token_share(self) -> float | None:
        return self.answer_tokens / self.tokens if self.tokens else None

    def __add__(self, other: ComputationSplit) -> ComputationSplit:
        """Pool two: shares of the sum weigh every computation alike."""
        return ComputationSplit(
            self.thinking + other.thinking,
            self.answer + other.answer,
            self.repeated + other.repeated,
            self.answer_tokens + other.answer_tokens,
            self.tokens + other.tokens,
        )


NOTHING: Final = ComputationSplit(0, 0, 0, 0, 0)


def split_computations(text: str) -> ComputationSplit:
    """Count the computations of one response on either side of ``</think>``."""
    parts = split_thinking(text)
    thinking, answer = computations(parts.thinking), computations(parts.answer)
    everything = [*thinking, *answer]
    answer_tokens = count_tokens(parts.answer)
    return ComputationSplit(
        thinking=len(thinking),
        answer=len(answer),
        repeated=len(everything) - len(set(everything)),
        answer_tokens=answer_tokens,
        tokens=count_tokens(parts.thinking) + answer_tokens,
    )
