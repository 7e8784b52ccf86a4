"""What the control plane answers, and how soon: ``python -m benchmarks.control_plane``.

A control plane of its own, served in a process of its own as ``laconic serve`` does, with its
default settings, an API key and a SQLite store; only the Ray cluster is not there. It measures, on
two cores that clients and drivers share with the server:

- reads at a fixed rate, each timed from the moment it was due, with 10,000 jobs in the store of
  which 500 are at work and are written to all along;
- 500 event streams of 500 jobs, and 500 of one: from an event's own time to its arrival;
- pages of jobs with 100 and with 100,000 of them, in turns in one run.

Writes ``benchmarks/results/control_plane.md`` with ``--write``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.control_plane_parts import RECORD
from benchmarks.http_load import Connection, Stream
from services.control.api_keys import make_key
from services.control.secret import server_secret
from services.control.stores import open_control
from services.home import Home
from services.presets.registry import resolve
from services.reports.machine import describe_machine
from services.stores.open import open_store
from services.stores.sqlite import SqliteJobStore

RESULT: Final = Path(__file__).parent / "results" / "control_plane.md"
JOBS: Final = 10_000
WORKING: Final = 500
FEW: Final = 100
MANY: Final = 100_000
STEPS: Final = 60
RATE: Final = 200
"""Reads a second."""
CONNECTIONS: Final = 32
EVENTS_PER_SECOND: Final = 100
"""Of all jobs at work together."""


def fill(home: Home, jobs: int, working: int) -> list[str]:
    """Put jobs into the store of a home folder; return those that are at work, newest first."""
    store = open_store(f"sqlite:///{home.database}", home)
    assert isinstance(store, SqliteJobStore)
    spec = resolve("tiny-cpu")
    for n in range(jobs - working):
        labels = {"team": f"t{n % 4}", "rare": "yes"} if n % 97 == 0 else {"team": f"t{n % 4}"}
        job = store.create_job(spec, "tiny-cpu", labels=labels).id
        store.set_state(job, "cancelled", attempt=1)
    found = [store.create_job(spec, "tiny-cpu").id for _ in range(working)]
    for n, job in enumerate(found):
        store.set_ray_submission(job, 1, f"{job}-1")
        store.set_state(job, "starting", attempt=1)
        store.set_state(job, "running", attempt=1)
        progress = {"stage": "compression", "step": STEPS, "total_steps": 100, "phase": "train"}
        store.heartbeat(job, 1, progress)
        for step in range(STEPS if n % 10 == 0 else 0):
            store.append_metrics(job, 1, step + 1, RECORD)
    return found[::-1]


def new_key(home: Home) -> str:
    """An API key of a home folder."""
    key, token = make_key(
        server_secret(home.secret), name="bench", scopes=("jobs:read",), now=time.time()
    )
    open_control(home).keys.add(key)
    return token


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another part of the benchmark, ``benchmarks.control_plane_parts``, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.control_plane_parts", *arguments]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


@contextmanager
def serving(home: Home) -> Iterator[int]:
    """A control plane; its port."""
    with process("serve", str(home.root)) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True)
class Row:
    """Times of one thing that was measured."""

    name: str
    seconds: Sequence[float]

    @property
    def cells(self) -> str:
        ms = [1000 * s for s in self.seconds]
        shown = (statistics.median(ms), percentile(ms, 0.95), percentile(ms, 0.99), max(ms))
        return f"| {self.name} | {len(ms)} | " + " | ".join(f"{v:.1f}" for v in shown) + " |"


def paths(jobs: Sequence[str]) -> list[tuple[str, str]]:
    """What is read: a name and a path for each kind, over a few of the jobs at work."""
    found = []
    for job in jobs[:200:10]:
        found += [
            ("page of 20 jobs", "/v1/jobs"),
            ("page, by state", "/v1/jobs?state=running"),
            ("page, by label", "/v1/jobs?label%5Bteam%5D=t3"),
            ("a job", f"/v1/jobs/{job}"),
            ("page of events", f"/v1/jobs/{job}/events"),
            ("60 step records", f"/v1/jobs/{jobs[9]}/metrics"),
            ("curve", f"/v1/metrics?job={jobs[9]}&field=figure_3"),
            ("who am I", "/v1/whoami"),
        ]
    return found


async def reads(port: int, key: str, jobs: Sequence[str], seconds: float) -> list[Row]:
    """Read at the fixed rate; the time of a read counts from when it was due."""
    connections: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        connections.put_nowait(await Connection.open(port, key))
    times: dict[str, list[float]] = {}

    async def one(name: str, path: str, due: float) -> None:
        connection = await connections.get()
        status, _ = await connection.get(path)
        assert status == 200, f"{path}: {status}"
        times.setdefault(name, []).append(time.perf_counter() - due)
        connections.put_nowait(connection)

    wanted = paths(jobs)
    # What is read for the first time is read into caches; that is not what is measured.
    for name, path in wanted:
        await one(name, path, time.perf_counter())
    times.clear()
    tasks = []
    started = time.perf_counter()
    for n in range(int(seconds * RATE)):
        due = started + n / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(*wanted[n % len(wanted)], due)))
    await asyncio.gather(*tasks)
    rows = [Row(name, found) for name, found in times.items()]
    return [Row("all", [t for found in times.values() for t in found]), *rows]


async def streams(port: int, key: str, jobs: Sequence[str], count: int, seconds: float) -> Row:
    """Follow jobs with so many streams, round and round, and time what arrives."""
    found: list[float] = []
    opened = [
        await Stream.open(port, key, f"/v1/jobs/{jobs[n % len(jobs)]}/events") for n in range(count)
    ]
    begin = time.time()

    async def listen(stream: Stream) -> None:
        last = 0
        async for number, written in stream.events():
            assert number == last + 1 or last == 0, "an event is missing"
            last = number
            if written > begin:
                found.append(time.time() - written)

    tasks = [asyncio.create_task(listen(stream)) for stream in opened]
    await asyncio.sleep(seconds)
    failed = [t.exception() for t in tasks if t.done()]
    assert not failed, f"{len(failed)} streams ended: {failed[0]!r}"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for stream in opened:
        await stream.close()
    await asyncio.sleep(1)  # The server may take its time to notice.
    what = "of one job" if len(jobs) == 1 else f"of {len(jobs)} jobs"
    return Row(f"{count} streams {what}", found)


async def pages(few: tuple[int, str], many: tuple[int, str], rounds: int) -> list[str]:
    """Time the same pages with few and with many jobs, in turns; rows with the ratio."""
    rows = []
    for name, query in (
        ("first page of 20", "limit=20"),
        ("of 20, in the middle", "limit=20&after={middle}"),
        ("cancelled ones", "limit=20&state=cancelled"),
        ("of one label", "limit=20&label%5Bteam%5D=t3"),
        ("of a rare label", "limit=1&label%5Brare%5D=yes"),
    ):
        asked: list[tuple[tuple[int, str], str, list[float]]] = []
        for place, jobs in ((few, FEW), (many, MANY)):
            walker = await Connection.open(*place)
            middle = await _behind(walker, jobs // 2) if "{middle}" in query else ""
            await walker.close()
            asked.append((place, "/v1/jobs?" + query.format(middle=middle), []))
        # Only now: a connection that is idle for some seconds is closed by the server.
        timed = [(await Connection.open(*place), path, times) for place, path, times in asked]
        for turn in range(rounds + 20):
            for connection, path, times in timed[:: 1 if turn % 2 else -1]:
                begun = time.perf_counter()
                status, _ = await connection.get(path)
                assert status == 200, path
                if turn >= 20:
                    times.append(time.perf_counter() - begun)
        for connection, _, _ in timed:
            await connection.close()
        low, high = (1000 * statistics.median(times) for _, _, times in timed)
        rows.append(f"| {name} | {low:.2f} | {high:.2f} | {high / low:.2f} |")
    return rows


async def _behind(connection: Connection, jobs: int) -> str:
    """The cursor behind so many jobs."""
    cursor = ""
    while jobs > 0:
        size = min(100, jobs)
        after = f"&after={cursor}" if cursor else ""
        _, body = await connection.get(f"/v1/jobs?limit={size}{after}")
        cursor, jobs = json.loads(body)["next_cursor"], jobs - size
    return cursor


@dataclass(frozen=True)
class Load:
    """Of the machine, before and after."""

    before: tuple[float, float, float]
    after: tuple[float, float, float]

    def __str__(self) -> str:
        return f"load average {self.before[0]:.2f} before, {self.after[0]:.2f} after"


async def run(folder: Path, seconds: float, rounds: int) -> str:
    """Everything; the page of results."""
    before = os.getloadavg()
    homes = {name: Home(folder / name).create() for name in ("usual", "few", "many")}
    jobs = fill(homes["usual"], JOBS, WORKING)
    fill(homes["few"], FEW, 0)
    fill(homes["many"], MANY, 0)
    keys = {name: new_key(home) for name, home in homes.items()}
    with serving(homes["usual"]) as port:
        key = keys["usual"]
        drivers = ("drive", str(homes["usual"].root), str(EVENTS_PER_SECOND))
        with process(*drivers, *jobs):
            read = await reads(port, key, jobs, seconds)
            apart = await streams(port, key, jobs, WORKING, seconds)
        with process("drive", str(homes["usual"].root), "5", jobs[0]):
            together = await streams(port, key, jobs[:1], WORKING, seconds)
    with serving(homes["few"]) as few, serving(homes["many"]) as many:
        compared = await pages((few, keys["few"]), (many, keys["many"]), rounds)
    return page(read, [apart, together], compared, Load(before, os.getloadavg()))


def page(read: list[Row], streamed: list[Row], compared: list[str], load: Load) -> str:
    """The results in Markdown."""
    machine = describe_machine()
    figures = "number | median, ms | 95 %, ms | 99 %, ms | longest, ms |\n|---|---|---|---|---|---|"
    return "\n".join(
        [
            f"""\
# How soon the control plane answers

`python -m benchmarks.control_plane --write`: a control plane with its default settings, an API key
and a SQLite store of {JOBS:,} jobs. {WORKING} of them are at work, and their drivers write
{EVENTS_PER_SECOND} events, heartbeats and step records a second. Clients, drivers and server share
the cores named below.

## Reads, {RATE} a second

Each counts from the moment it was due: a read that waits for another one counts the wait.

| read | {figures}""",
            *(row.cells for row in read),
            f"""
## Event streams

From the time of an event, which the store gives it, to its arrival at the client.

| streams | {figures}""",
            *(row.cells for row in streamed),
            f"""
## A page of jobs with {FEW} and with {MANY:,} of them

Medians, read in turns in one run.

| page | {FEW} jobs, ms | {MANY:,} jobs, ms | ratio |
|---|---|---|---|""",
            *compared,
            f"""
Machine: {machine["cores"]} cores of an {machine["cpu"]}, Python {machine["python"]}; {load}.
""",
        ]
    )


def main() -> None:
    """Print the results, and write them where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="for reads and for streams")
    parser.add_argument("--rounds", type=int, default=300, help="of the pages")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory() as folder:
        text = asyncio.run(run(Path(folder), chosen.seconds, chosen.rounds))
    print(text)
    if chosen.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
