"""A group of responses to one prompt, as columns: what travels through the object store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SCHEMA = 3
"""Version of the column layout; readers refuse what they do not know."""

Verdict = Literal["correct", "incorrect", "unparsable", "timeout", "error"]
FinishReason = Literal["stop", "length"]

JUDGED: frozenset[Verdict] = frozenset({"correct", "incorrect", "unparsable"})
"""Verdicts about the response; the others say that the verifier failed."""


def is_correct(verdict: Verdict, finished: bool) -> bool:
    """Whether a response counts as a correct answer: the right one, and ended by the end token.

    A box in a response cut at the cap counts for nothing (docs/method.md)."""
    return verdict == "correct" and finished


@dataclass(frozen=True)
class TrajectoryGroup:
    """``G`` responses to one prompt; ragged columns are flat with ``offsets``.

    ``T`` is the sum of all response lengths, end tokens included.
    """

    group_id: str
    """Unique within a job, e.g. ``compression/12/train-831``."""
    question_id: str
    gold: tuple[str, ...]
    """Accepted answers."""
    prompt_ids: NDArray[np.int32]
    """Shape [P]."""
    response_ids: NDArray[np.int32]
    """Shape [T]."""
    behaviour_logprobs: NDArray[np.float32]
    """Shape [T]: log-probability of each token under the distribution it was drawn from."""
    offsets: NDArray[np.int64]
    """Shape [G + 1]: response g is ``response_ids[offsets[g]:offsets[g + 1]]``."""
    think_lengths: NDArray[np.int64]
    """Shape [G]: tokens up to and with the last ``</think>``; the whole response without one."""
    finish_reasons: tuple[FinishReason, ...]
    """``stop``: ended by the end token. ``length``: cut at the cap."""
    texts: tuple[str, ...]
    """Decoded responses, for the verifier."""
    policy_version: int
    temperature: float
    tolerance: tuple[float, float] | None = None
    """How far a number may lie from an accepted answer, absolute and relative; None for not at
    all."""

    @property
    def size(self) -> int:
        """G."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Shape [G], in tokens."""
        return np.diff(self.offsets)

    def select(self, members: Sequence[int]) -> TrajectoryGroup:
        """Return the group with some of its responses only."""
        spans = [slice(self.offsets[i], self.offsets[i + 1]) for i in members]
        chosen = list(members)
        return replace(
            self,
            response_ids=np.concatenate([self.response_ids[s] for s in spans]),
            behaviour_logprobs=np.concatenate([self.behaviour_logprobs[s] for s in spans]),
            offsets=np.concatenate([[0], np.cumsum(self.lengths[chosen])]),
            think_lengths=self.think_lengths[chosen],
            finish_reasons=tuple(self.finish_reasons[i] for i in chosen),
            texts=tuple(self.texts[i] for i in chosen),
        )

    def columns(self) -> dict[str, Any]:
        """Return plain arrays and built-in types: no class of ours goes over the wire."""
        return {"schema": SCHEMA, **self.__dict__}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> TrajectoryGroup:
        """Read what :meth:`columns` wrote.

        Raises:
            ValueError: the columns are of a schema this version does not know.
        """
        if columns.get("schema") != SCHEMA:
            raise ValueError(f"trajectory schema {columns.get('schema')!r}, expected {SCHEMA}")
        return cls(**{k: v for k, v in columns.items() if k != "schema"})


def think_length(response: NDArray[np.int32], end: NDArray[np.int32]) -> int:
    """Return the tokens of a response up to and with the last ``</think>``.

    Args:
        response: token ids, shape [T].
        end: token ids of ``</think>``, shape [E].

    Returns:
        T where it never stands: a response that never stops thinking has no answer.
    """
    if len(response) < len(end) or not len(end):
        return len(response)
    windows = np.lib.stride_tricks.sliding_window_view(response, len(end))
    hits = np.flatnonzero((windows == end).all(axis=1))
    return int(hits[-1]) + len(end) if len(hits) else len(response)


@dataclass(frozen=True)
class Judgement:
    """The verifier's finding on one response; format flags stand apart from the verdict."""

    verdict: Verdict
    reason: str
    """Machine-readable, e.g. ``equal``, ``different``, ``no_box``, ``wall_clock``."""
    well_formed: bool
    """Exactly one ``</think>``, then exactly one non-empty box (end token checked apart)."""
    seconds: float = 0.0
