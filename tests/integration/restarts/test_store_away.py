"""A real driver whose Redis server is killed: it goes on, and what it did is told once afterwards,
by itself or, where it is killed too, by the next attempt."""

from __future__ import annotations

import contextlib

import pytest

from tests.integration.restarts.world import World


@pytest.fixture
def world(tmp_path, machine):
    settings = {"LACONIC_LEASE_SECONDS": "3"}
    with World(tmp_path, machine, "redis", **settings) as found:
        yield found


def at_step(world, job, step, attempt=1):
    done = [s["step"] for s in world.steps_of(job) if s["attempt"] == attempt]
    return bool(done) and max(done) >= step


def told(world, job):
    """Step records and events of steps, and that no event is missing."""
    with contextlib.closing(world.open_store()) as store:
        events = store.events(job, limit=10_000)
        records = store.metrics(job)
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    counted = [e.data["step"] for e in events if e.type == "counted"]
    return [(r["step"], r["attempt"]) for r in records], counted, events


def out_of_store(world, job, steps):
    """Kill the server at a step; return once the driver has done so many more."""
    world.wait_for("some steps", lambda: at_step(world, job, 4))
    world.redis.kill()
    now = max(s["step"] for s in world.steps_of(job))
    world.wait_for("steps without a store", lambda: at_step(world, job, now + steps), 60)


def test_a_driver_goes_on_while_its_store_is_away(world):
    job = world.create(steps="60")
    out_of_store(world, job, 12)
    world.redis.start()
    world.wait_for_state(job, "succeeded", seconds=60)
    records, counted, events = told(world, job)
    every = list(range(1, 61))
    assert records == [(step, 1) for step in every]
    assert counted == every
    assert [s["step"] for s in world.steps_of(job)] == every
    saved = [e.data["step"] for e in events if e.type == "checkpoint"]
    assert saved == list(range(3, 61, 3))


def test_the_end_of_a_job_waits_for_the_store(world):
    job = world.create(steps="16")
    out_of_store(world, job, 0)
    world.wait_for("the last step", lambda: at_step(world, job, 16))
    world.redis.start()
    world.wait_for_state(job, "succeeded", seconds=60)
    records, counted, events = told(world, job)
    assert counted == [step for step, _ in records] == list(range(1, 17))
    assert events[-1].data.get("to") == "succeeded"


def test_one_killed_meanwhile_is_told_of_by_the_next_attempt(world):
    job = world.create(steps="40")
    out_of_store(world, job, 8)
    world.kill_driver(job)
    world.redis.start()
    world.wait_for_state(job, "failed", seconds=60)
    world.ask(job, "resume")
    world.wait_for_state(job, "succeeded", seconds=60)
    records, counted, events = told(world, job)
    every = list(range(1, 41))
    assert [step for step, _ in records] == every
    assert counted == every
    (last,) = {s["step"] for s in world.steps_of(job) if s["attempt"] == 1} & {
        min(s["step"] for s in world.steps_of(job) if s["attempt"] == 2) - 1
    }
    assert last % 3 == 0
    # What the dead attempt had not told is told by the second one, in its place.
    handed_in = [e for e in events if e.type == "counted" and e.data["step"] <= last]
    assert {e.attempt for e in handed_in} == {1, 2}
    saved = [e.data["step"] for e in events if e.type == "checkpoint"]
    assert saved == list(range(3, 41, 3))
