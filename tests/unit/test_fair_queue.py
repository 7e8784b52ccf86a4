"""Turns between jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.fair_queue import FairQueue


def filled(*entries: tuple[str, int]) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for job, item in entries:
        queue.append(job, (job, item))
    return queue


def test_a_job_with_one_entry_does_not_wait_for_one_with_many():
    queue = filled(*(("many", i) for i in range(100)), ("few", 0), ("other", 0))
    assert [queue.pop() for _ in range(4)] == [("many", 0), ("few", 0), ("other", 0), ("many", 1)]


def test_what_is_put_back_comes_next():
    queue = filled(("a", 0), ("b", 0), ("a", 1))
    first = queue.pop()
    queue.put_back("a", first)
    assert list(queue.drain()) == [("a", 0), ("b", 0), ("a", 1)]
    assert len(queue) == 0
    with pytest.raises(KeyError):
        queue.pop()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=60))
def test_each_job_keeps_its_order_and_waits_at_most_one_turn_of_the_others(entries):
    queue = filled(*entries)
    assert len(queue) == len(entries)
    taken = []
    left = {job: [e for e in entries if e[0] == job] for job in "abc"}
    since = dict.fromkeys("abc", 0)
    while len(queue):
        job, item = queue.pop()
        taken.append((job, item))
        assert left[job].pop(0) == (job, item)
        for other in "abc":
            since[other] = 0 if other == job or not left[other] else since[other] + 1
            assert since[other] < 3
    assert sorted(taken) == sorted(entries)
