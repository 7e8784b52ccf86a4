"""Which task comes next, in which lane."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from services.verification.lanes import LONGEST_BATCH, Lanes
from services.verification.task import Task


def task(name: str, *, slow: bool = False, job: str = "") -> Task:
    return Task(name.encode(), {}, name, job, [Future()], slow)


def lanes(workers: int = 2, hopeless: frozenset[str] = frozenset()) -> Lanes:
    return Lanes(workers, lambda t: t.shape in hopeless)


def test_many_waiting_tasks_are_handed_over_together_and_few_one_by_one():
    found = lanes()
    tasks = [task(str(i)) for i in range(100)]
    for t in tasks:
        found.add(t)
    assert found.next_fast() == tasks[:LONGEST_BATCH]
    sizes = []
    while found.fast_waiting:
        sizes.append(len(found.next_fast()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-4:] == [1, 1, 1, 1]
    assert found.next_fast() == []


def test_tasks_that_look_hopeless_come_last_in_the_slow_lane():
    found = lanes(hopeless=frozenset({"bad"}))
    bad, unknown, late = task("bad", slow=True), task("x", slow=True), task("y", slow=True)
    for t in (bad, unknown, late):
        found.add(t)
    assert found.fast_waiting == 0
    assert [found.next_slow() for _ in range(4)] == [unknown, late, bad, None]


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
    assert found.allowance == pytest.approx(0.08, rel=0.01)
    for _ in range(1000):
        found.answered(10.0)
    assert found.allowance == pytest.approx(0.2)
    for _ in range(1000):
        found.answered(0.0)
    assert found.allowance == pytest.approx(0.02)


def test_what_nobody_waits_for_is_swept_out():
    found = lanes()
    kept, dropped, joined = task("kept"), task("dropped", slow=True), task("joined")
    joined.futures.append(Future())
    joined.futures[0].cancel()
    dropped.futures[0].cancel()
    for t in (kept, dropped, joined):
        found.add(t)
    assert found.sweep() == [dropped]
    assert found.waiting == 2
    assert found.drain() == [kept, joined]
