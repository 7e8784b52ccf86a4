"""What the job stores take: ``python -m benchmarks.stores [--seconds S]``.

One client, on this machine: heartbeats, events and step records written in a second, and pages of
jobs read, on a SQLite file and on a Redis server of its own with each of its settings of
durability. Needs ``redis-server``. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.home import Home
from services.presets.registry import resolve
from services.reports.machine import describe_machine
from services.stores.open import open_store
from services.stores.protocol import JobStore

SERVERS: Final = {
    "Redis, `appendfsync always`": ("--appendonly", "yes", "--appendfsync", "always"),
    "Redis, `appendfsync everysec`": ("--appendonly", "yes", "--appendfsync", "everysec"),
    "Redis, nothing on disk": ("--appendonly", "no"),
}
JOBS: Final = 500
EVENT: Final = {"step": 17, "removed": ["step-000012"], "seconds": 3.25}
RECORD: Final = {f"figure_{n}": n / 7 for n in range(60)}
"""About as much as a step record holds."""


@contextmanager
def redis_server(folder: Path, settings: tuple[str, ...]) -> Iterator[str]:
    """A server on a free port; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    server = subprocess.Popen([*command, "--save", "", *settings], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


def rate(operation: Callable[[int], object], seconds: float) -> tuple[float, float]:
    """How often an operation is done in a second, and its median time in milliseconds."""
    times: list[float] = []
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        operation(len(times))
        times.append(time.perf_counter() - now)
    return len(times) / (time.perf_counter() - started), 1000 * statistics.median(times)


def measure(store: JobStore, seconds: float) -> list[str]:
    """The cells of a store's row."""
    spec = resolve("tiny-cpu")
    jobs = [store.create_job(spec, "tiny-cpu").id for _ in range(JOBS)]
    job = jobs[0]
    progress = {"stage": "compression", "step": 17, "total_steps": 50, "phase": "train"}
    operations: list[Callable[[int], object]] = [
        lambda _: store.heartbeat(job, 1, progress),
        lambda _: store.append_event(job, "checkpoint", "checkpoint of step 17", data=EVENT),
        lambda n: store.append_metrics(job, 1, n + 1, RECORD),
        lambda _: store.list_jobs(20),
    ]
    rates = [rate(operation, seconds) for operation in operations]
    return [f"{per_second:,.0f}/s ({median:.2f} ms)" for per_second, median in rates]


def main() -> None:
    """Print the table and the machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    seconds = parser.parse_args().seconds
    rows: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        rows["SQLite"] = measure(open_store("sqlite:///jobs.db", home), seconds)
        for n, (name, settings) in enumerate(SERVERS.items()):
            own = Path(folder) / str(n)
            own.mkdir()
            with redis_server(own, settings) as url:
                rows[name] = measure(open_store(url, home), seconds)
    print("| store | heartbeats | events | step records | pages of 20 jobs |")
    print("|---|---|---|---|---|")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nmachine: {json.dumps(describe_machine())}")


if __name__ == "__main__":
    main()
