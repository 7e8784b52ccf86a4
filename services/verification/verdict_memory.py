"""What the pool remembers: verdicts, answers that overran, and what slow answers look like."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from algorithms.trajectory import Verdict
from services.verification.case import Case
from services.verification.lane import Lane

QUARANTINE_SECONDS = 60.0
"""An answer that overran is a timeout again for this long, without a worker."""
SLOW_SECONDS = 600.0
"""How long an answer that took long decides the lane of those that look like it."""
CAPACITY = 10_000
"""Entries of each kind; the oldest one goes first."""
_KEPT = ("correct", "incorrect", "unparsable")
"""Verdicts about the answer; a timeout or an error is about this attempt and is not kept."""
_SHAPE_LENGTH = 2048

Key = bytes
"""Digest of all that a verdict depends on."""
K = TypeVar("K")
V = TypeVar("V")

_DIGITS = re.compile(r"[0-9]+")
_SPACES = re.compile(r"\s+")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LETTER = re.compile(r"(?<![\\A-Za-z])d?[A-Za-z](?![A-Za-z])")
"""A name of one letter, or the differential of one."""


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
    """Return what an answer looks like: its text without spaces, with one number for all numbers
    and one name for all names of one letter.

    Answers of one shape tend to cost the same. This is for scheduling and decides no verdict.
    """
    text = _LETTER.sub("x", answer[:_SHAPE_LENGTH])
    return _SPACES.sub("", _DIGITS.sub("0", text))


def family_of(shape: str) -> str:
    """Return the commands that answers of a shape are made of; empty if there are none.

    What takes sympy long is mostly named by a command: an integral, a product, a limit.
    """
    return " ".join(sorted(set(_COMMAND.findall(shape))))


class _Expiring(Generic[K, V]):
    """A bounded mapping whose entries leave it after a fixed time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def put(self, key: K, value: V, now: float) -> None:
        self._entries[key] = value, now + self._seconds
        self._entries.move_to_end(key)
        if len(self._entries) > CAPACITY:
            self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        self._entries.pop(key, None)

    def get(self, key: K, now: float) -> V | None:
        value, until = self._entries.get(key, (None, now))
        return value if until > now else None


class _Repute(_Expiring[str, Lane]):
    """Which lane names stand for; for a slower one only from the second time in a row."""

    def __init__(self) -> None:
        super().__init__(SLOW_SECONDS)
        self._doubted: _Expiring[str, bool] = _Expiring(SLOW_SECONDS)

    def clear(self, name: str, now: float) -> None:
        self.put(name, Lane.FAST, now)
        self._doubted.forget(name)

    def doubt(self, name: str, lane: Lane, now: float) -> None:
        if self._doubted.get(name, now):
            self.put(name, lane, now)
        self._doubted.put(name, True, now)


class VerdictMemory:
    """Bounded in size and time. Not thread-safe; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._verdicts: OrderedDict[Key, Outcome] = OrderedDict()
        self._overrun: _Expiring[Key, bool] = _Expiring(QUARANTINE_SECONDS)
        self._shapes = _Repute()
        self._families = _Repute()

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

    def quarantine(self, key: Key, now: float) -> None:
        """Remember for a while that a case overran."""
        self._overrun.put(key, True, now)

    def quarantined(self, key: Key, now: float) -> bool:
        """Whether a case overran a short while ago."""
        return self._overrun.get(key, now) is not None

    def place(self, shape: str, lane: Lane, now: float) -> None:
        """Remember for a while the lane that an answer of a shape was for; of a slower one, as of
        one that only seems to be (:meth:`suspect`)."""
        if lane is Lane.FAST:
            self._shapes.clear(shape, now)
            self._families.clear(family_of(shape), now)
        else:
            self.suspect(shape, lane, now)

    def suspect(self, shape: str, lane: Lane, now: float) -> None:
        """Remember that an answer of a shape seems to be for a slower lane.

        A shape is slow from the second time in a row, for even a quick answer takes long when it
        is the first of its kind in a new worker; from the first, where one has overrun and none
        was quick. Its family is slow from the second time, if none of it was quick.
        """
        was_quick = self._shapes.get(shape, now) is Lane.FAST
        if was_quick:
            self._shapes.forget(shape)
        if lane is Lane.LAST and not was_quick:
            self._shapes.put(shape, lane, now)
        else:
            self._shapes.doubt(shape, lane, now)
        family = family_of(shape)
        if family and self._families.get(family, now) is not Lane.FAST:
            self._families.doubt(family, Lane.SLOW, now)

    def lane_of(self, shape: str, now: float) -> Lane:
        """Return the lane that an answer of this shape is likely to be for: that of the shape, or
        where none of it is known, of its family."""
        known = self._shapes.get(shape, now)
        if known is None:
            known = self._families.get(family_of(shape), now)
        return Lane.FAST if known is None else known
