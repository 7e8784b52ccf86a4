"""The control plane is killed while a job is in each state of its life, and started again.

The store, the control plane (``laconic serve``) and the drivers are real processes. Each test says
how a job comes to be in the state, what must be found of it afterwards, and how it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from services.stores.lifecycle import ACTIVE, STATES, is_legal
from tests.integration.restarts.world import BACKENDS, World

BACK_SECONDS = 30.0
"""From the start of a control plane until all that it says is right and it looks after jobs."""
WAIT_SECONDS = 30.0


def queued(world: World) -> str:
    world.wait_for_state(world.create(hold="1", steps="2"), "running")
    world.wait_for_state(world.create(hold="1", steps="2"), "running")
    return world.create()


def starting(world: World) -> str:
    job = world.create(hold="starting")
    world.wait_for_state(job, "starting")
    return job


def running(world: World) -> str:
    job = world.create(steps="1000")
    world.wait_for_state(job, "running")
    return job


def _running_and_held(world: World) -> str:
    job = world.create(hold="2", steps="20")
    world.wait_for_state(job, "running")
    wait_for_steps(world, job, 1)
    return job


def pausing(world: World) -> str:
    job = _running_and_held(world)
    world.ask(job, "pause", reason="a test")
    return job


def paused(world: World) -> str:
    job = world.create(steps="40")
    world.wait_for_state(job, "running")
    world.ask(job, "pause")
    world.wait_for_state(job, "paused")
    return job


def stopping(world: World) -> str:
    job = _running_and_held(world)
    world.ask(job, "cancel", reason="a test", grace_seconds=60)
    return job


def reconciling(world: World) -> str:
    job = starting(world)
    world.machine.silence(True)
    world.wait_for_state(job, "reconciling")
    return job


def succeeded(world: World) -> str:
    job = world.create(steps="2")
    world.wait_for_state(job, "succeeded")
    return job


def failed(world: World) -> str:
    job = running(world)
    world.kill_driver(job)
    world.wait_for_state(job, "failed")
    return job


def cancelled(world: World) -> str:
    job = running(world)
    world.ask(job, "cancel")
    world.wait_for_state(job, "cancelled")
    return job


def interrupted(world: World) -> str:
    job = running(world)
    world.terminate_driver(job)
    world.wait_for_state(job, "interrupted")
    return job


@dataclass(frozen=True)
class Case:
    """A state, and the life of a job after it."""

    reach: Callable[[World], str]
    on: Callable[[World, str], None] = lambda world, job: None
    """What lets it go on."""
    then: tuple[str, ...] = ()
    """The states it goes through afterwards, each of which is its last for a while or for good."""
    attempts: int = 1
    """Drivers it has had in the end."""


def _release(world: World, job: str) -> None:
    world.machine.release(job)


def _free_a_place(world: World, job: str) -> None:
    for other in world.jobs():
        if other != job:
            world.machine.release(other)


def _resume(world: World, job: str) -> None:
    world.ask(job, "resume")


def _cancel(world: World, job: str) -> None:
    world.ask(job, "cancel")


def _let_it_be_seen(world: World, job: str) -> None:
    world.machine.silence(False)
    world.wait_for_state(job, "starting")
    world.machine.release(job)


CASES: dict[str, Case] = {
    "queued": Case(queued, _free_a_place, ("succeeded",)),
    "starting": Case(starting, _release, ("succeeded",)),
    "running": Case(running, _cancel, ("cancelled",)),
    "pausing": Case(pausing, _release, ("paused",)),
    "paused": Case(paused, _resume, ("succeeded",), attempts=2),
    "stopping": Case(stopping, _release, ("cancelled",)),
    "reconciling": Case(reconciling, _let_it_be_seen, ("succeeded",)),
    "succeeded": Case(succeeded),
    "failed": Case(failed, _resume, ("running",), attempts=2),
    "cancelled": Case(cancelled),
    "interrupted": Case(interrupted, _resume, ("running",), attempts=2),
}


def test_no_state_was_forgotten():
    assert set(CASES) == set(STATES)


def wait_for_steps(world: World, job: str, count: int) -> None:
    world.wait_for(f"{count} steps", lambda: len(world.steps_of(job)) >= count)


def check_log(world: World, job: str) -> None:
    """Ids without a gap, moves without a jump."""
    store = world.open_store()
    events = store.events(job, limit=10_000)
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    moves = [e.data for e in events if e.type == "state"]
    assert all(before["to"] == after["from"] for before, after in pairwise(moves))
    assert all(is_legal(move["from"], move["to"]) for move in moves)
    store.close()


@pytest.fixture(params=BACKENDS)
def world(request, tmp_path, machine):
    settings = {"LACONIC_MAX_RUNNING_JOBS": "2"}
    # Several control planes could be on this Redis: a new one waits for the lease of the killed.
    # One state is enough to see that what a user gets without any setting is quick enough.
    if request.node.callspec.params.get("state") != "running":
        settings["LACONIC_LEASE_SECONDS"] = "3"
    with World(tmp_path, machine, request.param, **settings) as found:
        yield found


@pytest.mark.parametrize("state", STATES)
def test_a_control_plane_killed_in_any_state_comes_back_to_what_is(world, state):
    case = CASES[state]
    job = case.reach(world)
    world.wait_for("the driver's Ray job in the store", lambda: world.is_submitted(job, state))
    before = world.plane.job(job)
    assert before["state"] == state
    if state not in ACTIVE:  # its record is written before it goes
        world.wait_for("the end of the driver", lambda: world.live_drivers(job) == [])
    drivers = world.drivers_of(job)

    world.plane.kill()
    assert world.drivers_of(job).keys() == drivers.keys()
    done = len(world.steps_of(job))
    if state == "running":  # the job goes on while nobody looks
        wait_for_steps(world, job, done + 5)

    began = time.monotonic()
    world.plane.start(cold=True)
    world.plane.wait_ready()
    world.wait_for("a look at the jobs", world.is_looked_after)
    after = world.plane.job(job)
    seconds = time.monotonic() - began
    print(f"killed while {state} on {world.backend}: back and right after {seconds:.1f} s")
    assert seconds < BACK_SECONDS
    told = ("state", "attempt", "cause", "revision", "created_at", "started_at", "finished_at")
    assert {k: after[k] for k in told} == {k: before[k] for k in told}
    now = world.drivers_of(job)
    assert {n: (d["pid"], d["end"]) for n, d in now.items()} == {
        n: (d["pid"], d["end"]) for n, d in drivers.items()
    }
    assert len(world.live_drivers(job)) == (state in ACTIVE - {"queued"})

    case.on(world, job)
    for following in case.then:
        world.wait_for_state(job, following, seconds=WAIT_SECONDS)
    ran = [f"{job}-{n + 1}" for n in range(case.attempts)]
    assert sorted(world.drivers_of(job)) == ran
    assert [x for x in world.machine.submissions() if x in ran] == ran
    check_log(world, job)


@pytest.mark.parametrize("how", ["ends", "dies", "is told to pause"])
def test_what_happens_while_no_control_plane_is_there_is_found_by_the_next(world, how):
    job = world.create(hold="2", steps="20")
    wait_for_steps(world, job, 1)
    world.wait_for("its Ray job in the store", lambda: world.is_submitted(job, "running"))
    if how == "is told to pause":
        world.ask(job, "pause")
    world.plane.kill()
    if how == "dies":
        world.kill_driver(job)
    else:
        world.machine.release(job)
    world.wait_for("the end of the driver", lambda: world.drivers_of(job)[f"{job}-1"]["end"])
    began = time.monotonic()
    world.plane.start()
    world.plane.wait_ready()
    wanted = {"ends": "succeeded", "dies": "failed", "is told to pause": "paused"}[how]
    world.wait_for_state(job, wanted, seconds=BACK_SECONDS)
    seconds = time.monotonic() - began
    print(f"a driver that {how} unseen, on {world.backend}: known after {seconds:.1f} s")
    assert list(world.drivers_of(job)) == [f"{job}-1"]
    check_log(world, job)
