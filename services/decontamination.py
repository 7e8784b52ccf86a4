"""Held-out questions that stand in the training data too, whole or in a long run of words.

Two questions are the *same* when they agree but for case, spaces and the layout of LaTeX; signs
count. They *share* a run when both have it word for word, it has at least ``run`` words and makes
up at least ``share`` of the held-out question. Words are runs of letters, runs of digits and LaTeX
commands; signs between them do not count, so that other delimiters do not hide a copy. Questions
shorter than ``run`` words can only be the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.question import Question

RUN: Final = 13
"""Words; the length of run that contamination is commonly looked for with."""
SHARE: Final = 0.5
"""Sets of problems share whole sentences ("where m and n are relatively prime positive integers,
find m + n") that say nothing about the problem: much of it has to be shared."""

_COMMON_SHARE, _COMMON_LEAST = 0.005, 50
"""A run in more training questions than either is a turn of phrase, and leads to no pair by
itself. This bounds the number of pairs that are looked at."""

_WORD = re.compile(r"\\[A-Za-z]+|[^\W\d_]+|\d+")
_SIGN = re.compile(r"\\[A-Za-z]+|\\.|[^\W\d_]+|\d+|\S", re.DOTALL)
_LAYOUT = frozenset(
    [
        *(r"\left", r"\right", r"\big", r"\Big", r"\bigg", r"\Bigg", r"\displaystyle", r"\limits"),
        *(r"\textstyle", r"\text", r"\textbf", r"\textit", r"\mathrm", r"\mathbf", r"\quad"),
        *(r"\qquad", r"\,", r"\;", r"\:", r"\!", r"\(", r"\)", r"\[", r"\]", "$", "~"),
    ]
)
_SPELLINGS = {
    **dict.fromkeys((r"\dfrac", r"\tfrac", r"\cfrac"), r"\frac"),
    **dict.fromkeys((r"\le", r"\leqslant"), r"\leq"),
    **dict.fromkeys((r"\ge", r"\geqslant"), r"\geq"),
}

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """A training question and a held-out question that have too much in common."""

    train_id: str
    held_out_id: str
    kind: Literal["same", "shared"]
    text: str
    """What they have in common, as it stands in the held-out question."""
    words: int
    """Length of ``text`` in words."""
    share: float
    """``words`` over the words of the held-out question."""


def find_overlaps(
    train: Sequence[Question],
    held_out: Sequence[Question],
    *,
    run: int = RUN,
    share: float = SHARE,
) -> list[Overlap]:
    """Return every pair of questions with too much in common, in the order of ``held_out``.

    Takes seconds for 40 000 training and 2 000 held-out questions.

    Args:
        run: words that have to be shared in one piece, at least 1.
        share: least part of the held-out question that they make up, 0 to 1.
    """
    found: dict[tuple[int, int], Overlap] = {}
    for pair in _same(train, held_out):
        words = len(_words(held_out[pair[1]].question))
        text = held_out[pair[1]].question.strip()
        found[pair] = Overlap(train[pair[0]].id, held_out[pair[1]].id, "same", text, words, 1.0)
    vocabulary: dict[str, int] = {}
    left, right = _Words(train, vocabulary), _Words(held_out, vocabulary)
    longest: dict[tuple[int, int], tuple[int, int]] = {}
    for pair, span in _spans(left, right, run):
        if span[1] > longest.get(pair, (0, 0))[1]:
            longest[pair] = span
    for (first, second), (start, length) in longest.items():
        words = right.size(second)
        if (first, second) not in found and length >= share * words:
            text = _text(held_out[second].question, start, length)
            found[first, second] = Overlap(
                train[first].id, held_out[second].id, "shared", text, length, length / words
            )
    return [found[p] for p in sorted(found, key=lambda p: (p[1], p[0]))]


def _same(train: Sequence[Question], held_out: Sequence[Question]) -> Iterator[tuple[int, int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for index, question in enumerate(held_out):
        places[_key(question.question)].append(index)
    for index, question in enumerate(train):
        if key := _key(question.question):
            yield from ((index, other) for other in places.get(key, ()))


def _key(text: str) -> str:
    """What is left of a text without case, spaces and layout."""
    signs = (_SPELLINGS.get(s, s) for s in _SIGN.findall(_folded(text)))
    return " ".join(s for s in signs if s not in _LAYOUT).rstrip(" .?!")


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> list[tuple[str, int, int]]:
    """The words of a text, each with its start and end."""
    return [
        (_SPELLINGS.get(m[0], m[0]), m.start(), m.end())
        for m in _WORD.finditer(text)
        if m[0] not in _LAYOUT
    ]


def _text(text: str, start: int, length: int) -> str:
    """The part of a text from word ``start`` on, ``length`` words long."""
    words = _words(text)[start : start + length]
    return text[words[0][1] : words[-1][2]]


class _Words:
    """The words of many questions as numbers, in one array."""

    def __init__(self, questions: Sequence[Question], vocabulary: dict[str, int]) -> None:
        numbers: list[int] = []
        starts = [0]
        for question in questions:
            for word, _, _ in _words(question.question):
                numbers.append(vocabulary.setdefault(_folded(word), len(vocabulary)))
            starts.append(len(numbers))
        self.numbers: Ints = np.array(numbers, np.int64)
        """Shape [W]."""
        self.starts: Ints = np.array(starts, np.int64)
        """Shape [Q + 1]: question q is ``numbers[starts[q]:starts[q + 1]]``."""

    def size(self, question: int) -> int:
        return int(self.starts[question + 1] - self.starts[question])

    def runs(self, length: int) -> tuple[NDArray[np.uint64], Ints, Ints]:
        """Return hash, first word and question of every run that lies within a question."""
        count = max(0, len(self.numbers) - length + 1)
        hashes = np.zeros(count, np.uint64)
        for offset in range(length):
            hashes *= np.uint64(0x9E3779B97F4A7C15)
            hashes += self.numbers[offset : offset + count].astype(np.uint64) + np.uint64(1)
        owners = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))[:count]
        at = np.flatnonzero(np.arange(count) + length <= self.starts[owners + 1])
        return hashes[at], at, owners[at]


def _spans(
    left: _Words, right: _Words, run: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield pairs of questions with a run of words in common, made as long as it goes.

    Each with where it starts in the question on the right and how long it is, in words.
    """
    for first, second, i, j in _seeds(left, right, run):
        a, b = left.numbers, right.numbers
        low = min(i - left.starts[first], j - right.starts[second])
        high = min(left.starts[first + 1] - i, right.starts[second + 1] - j)
        before = _agreeing(a[i - low : i][::-1], b[j - low : j][::-1])
        length = before + _agreeing(a[i : i + high], b[j : j + high])
        if length >= run:  # two runs may have the same hash
            yield (first, second), (int(j - before - right.starts[second]), length)


def _agreeing(a: Ints, b: Ints) -> int:
    """How many entries agree before the first that does not."""
    different = np.flatnonzero(a != b)
    return int(different[0]) if len(different) else len(a)


def _seeds(left: _Words, right: _Words, run: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield question and word on either side where a stretch of common runs begins."""
    (hashes, words, owners), (others, places, askers) = left.runs(run), right.runs(run)
    by_hash = np.argsort(others, kind="stable")
    low = np.searchsorted(others[by_hash], hashes, "left")
    counts = np.searchsorted(others[by_hash], hashes, "right") - low
    counts[np.isin(hashes, _common(hashes[counts > 0], owners[counts > 0], len(left.starts)))] = 0
    total = int(counts.sum())
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    other = by_hash[np.repeat(low, counts) + within]
    i, first = np.repeat(words, counts), np.repeat(owners, counts)
    j, second = places[other], askers[other]
    order = np.lexsort((i, i - j, second, first))
    i, j, first, second = i[order], j[order], first[order], second[order]
    goes_on = np.zeros(total, bool)
    # Neighbours in order are one stretch where both sides move on by one word.
    goes_on[1:] = (
        (np.diff(i) == 1) & (np.diff(j) == 1) & (np.diff(first) == 0) & (np.diff(second) == 0)
    )
    for index in np.flatnonzero(~goes_on):
        yield int(first[index]), int(second[index]), int(i[index]), int(j[index])


def _common(hashes: NDArray[np.uint64], owners: Ints, questions: int) -> NDArray[np.uint64]:
    """The runs that stand in so many questions that they are a turn of phrase."""
    pairs = np.unique(np.stack([hashes, owners.astype(np.uint64)]), axis=1)
    runs, counts = np.unique(pairs[0], return_counts=True)
    return runs[counts > max(_COMMON_LEAST, _COMMON_SHARE * questions)]


def summary(found: Sequence[Overlap], questions: int) -> str:
    """How many of the held-out questions are concerned, in words."""
    same = {o.held_out_id for o in found if o.kind == "same"}
    shared = {o.held_out_id for o in found} - same
    if not found:
        return f"none of {questions} questions in the training data"
    return (
        f"{len(same) + len(shared)} of {questions} questions in the training data "
        f"({len(same)} the same, {len(shared)} in large part)"
    )
