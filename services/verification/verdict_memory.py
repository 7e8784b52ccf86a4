"""What the pool remembers: verdicts, answers that overran, and what slow answers look like."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from algorithms.trajectory import Verdict
from services.verification.case import Case

QUARANTINE_SECONDS = 60.0
"""An answer that overran is a timeout again for this long, without a worker."""
SLOW_SECONDS = 600.0
"""How long answers that look like one that took long start in the slow lane."""
CAPACITY = 10_000
"""Entries of each kind; the oldest one goes first."""
_KEPT = ("correct", "incorrect", "unparsable")
"""Verdicts about the answer; a timeout or an error is about this attempt and is not kept."""
_SHAPE_LENGTH = 2048

Key = bytes
"""Digest of all that a verdict depends on."""
K = TypeVar("K")

_DIGITS = re.compile(r"[0-9]+")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Outcome:
    """What became of a task: verdict, machine-readable reason, and wall clock of the worker."""

    verdict: Verdict
    reason: str
    seconds: float = 0.0


def key_of(case: Case) -> Key:
    """Return the digest of accepted answers, answer, policy and tolerance."""
    digest = blake2b(digest_size=16)
    for part in (*case.golds, case.output, case.policy, repr(case.tolerance)):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


def shape_of(answer: str) -> str:
    """Return what an answer looks like: its text without spaces, and 0 for every number.

    Answers of one shape tend to cost the same. This is for scheduling and decides no verdict.
    """
    return _DIGITS.sub("0", _SPACES.sub("", answer[:_SHAPE_LENGTH]))


class _Expiring(Generic[K]):
    """A bounded set whose members leave it after a fixed time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: OrderedDict[K, float] = OrderedDict()

    def add(self, member: K, now: float) -> None:
        self._until[member] = now + self._seconds
        self._until.move_to_end(member)
        if len(self._until) > CAPACITY:
            self._until.popitem(last=False)

    def discard(self, member: K) -> None:
        self._until.pop(member, None)

    def has(self, member: K, now: float) -> bool:
        return self._until.get(member, now) > now


class VerdictMemory:
    """Bounded in size and time. Not thread-safe; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._verdicts: OrderedDict[Key, Outcome] = OrderedDict()
        self._overrun: _Expiring[Key] = _Expiring(QUARANTINE_SECONDS)
        self._slow: _Expiring[str] = _Expiring(SLOW_SECONDS)
        self._hopeless: _Expiring[str] = _Expiring(SLOW_SECONDS)

    def recall(self, key: Key) -> Outcome | None:
        """Return the verdict on a case that was judged before."""
        found = self._verdicts.get(key)
        if found is not None:
            self._verdicts.move_to_end(key)
        return found

    def keep(self, key: Key, outcome: Outcome) -> None:
        """Remember a verdict, if it is one about the answer."""
        if outcome.verdict in _KEPT:
            self._verdicts[key] = outcome
            if len(self._verdicts) > CAPACITY:
                self._verdicts.popitem(last=False)

    def overran(self, key: Key, shape: str, now: float) -> None:
        """Remember for a while that a case overran."""
        self._overrun.add(key, now)
        self._slow.add(shape, now)
        self._hopeless.add(shape, now)

    def quarantined(self, key: Key, now: float) -> bool:
        """Whether a case overran a short while ago."""
        return self._overrun.has(key, now)

    def note(self, shape: str, *, slow: bool, now: float) -> None:
        """Remember whether an answer of this shape took long."""
        if slow:
            self._slow.add(shape, now)
        else:
            self._slow.discard(shape)
            self._hopeless.discard(shape)

    def looks_slow(self, shape: str, now: float) -> bool:
        """Whether an answer of this shape took long, and none was quick since."""
        return self._slow.has(shape, now)

    def looks_hopeless(self, shape: str, now: float) -> bool:
        """Whether an answer of this shape overran, and none was quick since."""
        return self._hopeless.has(shape, now)
