"""A driver that is killed is replaced, and the new one goes on from what was saved: real processes,
as everywhere in this folder."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.integration.restarts.test_kill_in_every_state import check_log, wait_for_steps
from tests.integration.restarts.world import BACKENDS, World

STEPS = 8


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("killed_in", "goes_on_with"), [(2, 1), (5, 4)])
def test_it_goes_on_from_the_last_checkpoint_or_from_the_start(
    tmp_path, machine, backend, killed_in, goes_on_with
):
    with World(tmp_path, machine, backend, LACONIC_LEASE_SECONDS="3") as world:
        job = world.create(restarts=1, steps=str(STEPS), hold=str(killed_in))
        wait_for_steps(world, job, killed_in - 1)
        world.wait_for("its Ray job in the store", lambda: world.is_submitted(job, "running"))
        world.kill_driver(job)
        world.machine.release(job)
        world.wait_for("the new driver", lambda: world.plane.job(job)["attempt"] == 2)
        world.wait_for_state(job, "succeeded")
        done = [(s["attempt"], s["step"]) for s in world.steps_of(job)]
        assert done == [
            *((1, n) for n in range(1, killed_in)),
            *((2, n) for n in range(goes_on_with, STEPS + 1)),
        ]
        with closing(world.open_store()) as store:
            kept = [(m["attempt"], m["step"]) for m in store.metrics(job)]
            events = store.events(job, limit=1000)
        # Of the steps that were done twice, the second counts.
        assert kept == [(1 + (n >= goes_on_with), n) for n in range(1, STEPS + 1)]
        assert [e.data["count"] for e in events if e.type == "auto_resumed"] == [1]
        assert sorted(world.drivers_of(job)) == [f"{job}-1", f"{job}-2"]
        check_log(world, job)
