"""One round: clients and a killer at work on a world of processes, then quiet, then the record."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from services.stores.lifecycle import ACTIVE
from services.stores.protocol import JobRecord, JobStore
from tests.integration.restarts.history import History, Job, Run, Step
from tests.integration.restarts.history_clients import CLIENTS, HistoryClient, Jobs
from tests.integration.restarts.machine import Machine, kill
from tests.integration.restarts.world import Plane, World

STOPS = 8
"""Things stopped in a round."""
SETTLE_SECONDS = 30.0
"""Longest wait, once nothing is killed any more, until no job is at work."""
BACK_SECONDS = 30.0
"""Longest wait until a control plane that was started answers."""
_BETWEEN_STOPS = (0.1, 0.6)
_INTO_A_REQUEST = (0.0, 0.04)
_REQUESTS_BETWEEN = 6
"""Between two stops at least so many requests are begun, so that a slow machine does as much."""
_REQUESTS_SECONDS = 5.0
"""Longest wait for them."""
_AWAY = (0.0, 0.6)
"""How long a store or a control plane stays dead."""


class Killer:
    """Stops what a seed says, and starts it again."""

    def __init__(self, seed: int, world: World, history: History) -> None:
        self._chance = random.Random(f"{seed} killer")
        self._world, self._history = world, history

    def work(self, stops: int, begun: Callable[[], int]) -> None:
        """So many times; everything runs again when it returns. ``begun`` counts requests."""
        victims = {"control plane": 4, "driver": 4, "end control plane": 1, "cluster": 1}
        if self._world.redis is not None:
            victims["store"] = 3
        for _ in range(stops):
            deadline, enough = time.monotonic() + _REQUESTS_SECONDS, begun() + _REQUESTS_BETWEEN
            time.sleep(self._chance.uniform(*_BETWEEN_STOPS))
            while begun() < enough and time.monotonic() < deadline:
                time.sleep(0.01)
            victim = self._chance.choices(list(victims), list(victims.values()))[0]
            self._history.kills.append((time.time(), victim))
            away = self._chance.uniform(*_AWAY)
            if victim == "driver":
                self._kill_driver()
            elif victim == "store":
                self._restart_store(away)
            elif victim == "cluster":
                self._world.machine.silence(True)
                time.sleep(away)
                self._world.machine.silence(False)
            else:
                self._wait_for_a_request(begun)
                self._restart(self._chance.choice(self._world.planes), victim, away)

    def _wait_for_a_request(self, begun: Callable[[], int]) -> None:
        """Until one is somewhere between its first byte and its answer."""
        deadline, before = time.monotonic() + 1.0, begun()
        while begun() == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(self._chance.uniform(*_INTO_A_REQUEST))

    def _kill_driver(self) -> None:
        alive = [d["pid"] for d in self._world.machine.drivers().values() if d["end"] is None]
        if alive:
            kill(self._chance.choice(alive))

    def _restart_store(self, away: float) -> None:
        assert self._world.redis is not None
        self._world.redis.kill()
        time.sleep(away)
        self._world.redis.start()

    def _restart(self, plane: Plane, victim: str, away: float) -> None:
        if victim == "control plane":
            plane.kill()
        else:
            plane.terminate()
        time.sleep(away)
        plane.start()


def run_round(
    seed: int, backend: str, machine: Machine, folder: Path, stops: int = STOPS
) -> History:
    """What came of one seed.

    Args:
        seed: of the clients' wishes and of the killer's.
        backend: of the store. On Redis there are two control planes, on SQLite one.
        machine: where drivers run.
        folder: of the round's own.
        stops: how many things are stopped.
    """
    history = History(seed, backend)
    jobs, over = Jobs(), threading.Event()
    planes = 2 if backend == "redis" else 1
    settings = {"LACONIC_MAX_RUNNING_JOBS": "3", "LACONIC_LEASE_SECONDS": "2"}
    with World(folder, machine, backend, planes=planes, **settings) as world:
        urls = [plane.url for plane in world.planes]
        clients = [HistoryClient(f"c{n}", seed, urls, jobs, over) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            Killer(seed, world, history).work(stops, lambda: sum(len(c.ops) for c in clients))
        finally:
            over.set()
            for client in clients:
                client.join(60)
        for client in clients:
            if client.error is not None:
                raise client.error
            history.ops += client.ops
        for plane in world.planes:
            plane.wait_ready(BACK_SECONDS)
        with closing(world.open_store()) as store:
            _settle(store, world)
            _record(history, store, machine)
    return history


def _settle(store: JobStore, world: World) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        names = {f"{job.id}-{job.attempt}" for job in _all(store)}
        live = [d for n, d in world.machine.drivers().items() if n in names and d["end"] is None]
        if not live and not any(job.state in ACTIVE for job in _all(store)):
            return
        time.sleep(0.1)


def _record(history: History, store: JobStore, machine: Machine) -> None:
    kept = _all(store)
    for job in kept:
        events = [asdict(event) for event in store.events(job.id, limit=10_000)]
        steps = [(m["step"], m["attempt"]) for m in store.metrics(job.id, limit=10_000)]
        labels = job.labels
        history.jobs.append(
            Job(job.id, job.state, job.attempt, job.revision, labels, events, steps)
        )
    ids = {job.id for job in kept} | {str(op.seen.get("id", op.job)) for op in history.ops}
    for name, driver in machine.drivers().items():
        job_id, _, attempt = name.rpartition("-")
        if job_id in ids:
            times = driver["begin"], driver["end"], driver["code"]
            history.runs.append(Run(job_id, int(attempt), driver["pid"], *times))
    history.steps = [Step(**step) for step in machine.steps() if step["job"] in ids]


def _all(store: JobStore) -> list[JobRecord]:
    return store.list_jobs(1000)[0]
