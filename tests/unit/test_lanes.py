"""Which task comes next, in which lane."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from services.verification.lane import Lane
from services.verification.lanes import LONGEST_BATCH, Lanes
from services.verification.task import Task


def task(name: str, lane: Lane = Lane.FAST) -> Task:
    return Task(name.encode(), {}, name, "", [Future()], lane)


def lanes(looks: dict[str, Lane] | None = None) -> Lanes:
    return Lanes(2, lambda t: (looks or {}).get(t.shape, Lane.FAST))


def test_many_waiting_tasks_are_handed_over_together_and_few_one_by_one():
    found = lanes()
    tasks = [task(str(i)) for i in range(100)]
    for t in tasks:
        found.add(t)
    assert found.next_fast() == tasks[:LONGEST_BATCH]
    sizes = []
    while found.waiting(Lane.FAST):
        sizes.append(len(found.next_fast()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-4:] == [1, 1, 1, 1]
    assert found.next_fast() == []


def test_tasks_that_look_hopeless_come_last_in_the_slow_lane():
    found = lanes({"bad": Lane.LAST})
    bad, unknown, late = task("bad", Lane.SLOW), task("x", Lane.SLOW), task("y", Lane.SLOW)
    for t in (bad, unknown, late):
        found.add(t)
    assert found.waiting(Lane.FAST) == 0
    assert [found.next_slow() for _ in range(4)] == [unknown, late, bad, None]
    assert (unknown.lane, bad.lane) == (Lane.SLOW, Lane.LAST)


def test_what_is_learnt_while_a_task_waits_decides_its_lane():
    looks: dict[str, Lane] = {}
    found = lanes(looks)
    first, slow, hopeless, other = task("first"), task("slow"), task("hopeless"), task("other")
    for t in (first, slow, hopeless, other):
        found.add(t)
    assert found.next_fast() == [first]
    looks.update(slow=Lane.SLOW, hopeless=Lane.LAST)
    assert found.next_fast() == [other]
    assert found.next_fast() == []
    looks.clear()  # a lane that was left is not entered again
    assert [found.next_slow() for _ in range(3)] == [slow, hopeless, None]


def test_a_task_that_is_put_back_comes_first_in_its_lane():
    found = lanes()
    first, second = task("first"), task("second")
    found.add(second)
    found.put_back(first)
    assert found.next_fast() == [first]


def test_the_allowance_follows_what_answers_take_within_bounds():
    found = lanes()
    for _ in range(1000):
        found.answered(0.02)
    assert found.allowance(Lane.FAST) == pytest.approx(0.08, rel=0.01)
    assert found.allowance(Lane.SLOW) == pytest.approx(20 * 0.08, rel=0.01)
    assert found.allowance(Lane.LAST) == float("inf")
    assert [found.answered(s) for s in (0.07, 0.09, 1.5, 2.5)] == [0, 1, 1, 2]
    for _ in range(1000):
        found.answered(10.0)
    assert found.allowance(Lane.FAST) == pytest.approx(0.2)
    for _ in range(1000):
        found.answered(0.0)
    assert found.allowance(Lane.FAST) == pytest.approx(0.01)


def test_what_nobody_waits_for_is_swept_out():
    found = lanes()
    kept, dropped, joined = task("kept"), task("dropped", Lane.SLOW), task("joined")
    joined.futures.append(Future())
    joined.futures[0].cancel()
    dropped.futures[0].cancel()
    for t in (kept, dropped, joined):
        found.add(t)
    assert found.sweep() == [dropped]
    assert found.waiting() == 2
    assert found.drain() == [kept, joined]
