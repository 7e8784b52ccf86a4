"""Waits whose ticks take long, because a job store is away, on a clock of the test's own.

``ray.wait`` and ``ray.get`` are stand-ins that look at that clock; the real ones are under every
driver of the end-to-end tests.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actors import waiting
from actors.waiting import Waiter, WaitTimeout


class Clock:
    """Time passes only where somebody spends it."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()

    def wait(refs, *, num_returns, timeout, fetch_local):
        done = [ref for ref in refs if ref <= found.now][:num_returns]
        if not done:
            found.now += timeout
        return done, [ref for ref in refs if ref not in done]

    fake = SimpleNamespace(wait=wait, get=lambda refs: refs)
    monkeypatch.setattr(waiting, "time", found)
    monkeypatch.setattr(waiting, "ray", fake)
    return found


def away(clock, seconds, at=1.0):
    """A tick that takes ``seconds`` once, when the store is away."""
    left = [seconds]

    def tick():
        if left and clock.now >= at:
            clock.now += left.pop()

    return Waiter(tick)


def arrives(clock, when):
    """What comes at a time; every look takes half a second."""

    def poll():
        clock.now += 0.5
        return "here" if clock.now >= when else None

    return poll


def test_what_came_while_the_store_was_away_is_taken(clock):
    """References are the times at which they are there."""
    assert away(clock, 1000).all([0.2, 30.0, 900.0], 60, "answers") == [0.2, 30.0, 900.0]
    clock.now = 0
    assert away(clock, 1000).until(arrives(clock, 900), 60, "a result") == "here"


def test_the_time_that_ticks_take_does_not_count(clock):
    assert away(clock, 1000).all([1050.0], 60, "answers") == [1050.0]
    clock.now = 0
    assert away(clock, 1000).until(arrives(clock, 1050), 60, "a result") == "here"


def test_what_does_not_come_is_given_up_after_its_time(clock):
    with pytest.raises(WaitTimeout, match="waited 60 s for answers; 1 of 2 still out"):
        away(clock, 1000).all([0.2, 5000.0], 60, "answers")
    assert clock.now == pytest.approx(1060, abs=2)
    clock.now = 0
    with pytest.raises(WaitTimeout, match="waited 60 s for a result"):
        away(clock, 1000).until(arrives(clock, 5000), 60, "a result")
    assert clock.now == pytest.approx(1060, abs=2)


def test_all_that_is_there_at_the_end_is_taken_in_one_look(clock):
    waiter = away(clock, 58.9)
    assert waiter.all([60.0, 60.1, 60.2], 1.5, "answers") == [60.0, 60.1, 60.2]
