"""``laconic demo``: control plane, job, live view and report in one command."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from api.client import Client
from api.memory_watch import MemoryWatch
from api.progress_view import duration, print_outcome
from api.serving import ControlPlane
from api.watching import watch
from services.home import Home
from services.stores.open import open_store


def run_demo(
    console: Console, home: Home, submission: Mapping[str, Any], resume: str | None
) -> int:
    """Run one job from submission (or resume) to report.

    The first Ctrl-C leaves the job where it can be resumed, the second ends at once. Either way no
    process stays behind.

    Returns:
        Exit code: 0 when the job succeeded, 130 after an interruption, else 1.
    """
    ending, hurry, up = threading.Event(), threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        (hurry if ending.is_set() else ending).set()
        if not up.is_set():
            raise KeyboardInterrupt  # The context managers below clean up what has started.

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    started = time.monotonic()
    console.print("starting Ray and the control plane ...")
    with MemoryWatch() as memory, ControlPlane(home, port=0, takes_up=False) as plane:
        up.set()
        console.print(f"control plane at {plane.url}", highlight=False)
        with Client(plane.url, plane.key) as client:
            job = client.resume(resume) if resume else client.submit(submission)
            console.print(f"job {job.id} {'goes on' if resume else 'submitted'}", highlight=False)

            def stop() -> bool:
                plane.check()  # raises when Ray or the API has ended by itself
                return ending.is_set()

            job = watch(client, job.id, console, stop=stop)
            if ending.is_set():
                console.print("stopping where the job can be resumed (Ctrl-C again: at once) ...")
                plane.drain(give_up=hurry.is_set)
                job = client.job(job.id)
        with closing(open_store(None, home)) as store:
            store.append_event(
                job.id,
                "memory",
                f"peak memory of all processes together {memory.peak_bytes / 2**30:.2f} GiB",
                data={"peak_rss_bytes": memory.peak_bytes},
            )
    print_outcome(console, job, hint=False)
    if ending.is_set() and job.state != "succeeded":
        console.print(f'go on with: make demo ARGS="--resume {job.id}"', highlight=False)
        console.print("or start laconic serve and cancel it with: laconic cancel " + job.id)
        return 130
    if job.state != "succeeded":
        console.print(f"log of the driver: {home.job(job.id).driver_log}", soft_wrap=True)
        return 1
    _report(console, home, job.id)
    console.print(
        f"whole run {duration(time.monotonic() - started)}, "
        f"peak memory {memory.peak_bytes / 2**30:.2f} GiB"
    )
    return 0


def _report(console: Console, home: Home, job_id: str) -> None:
    """Write the report and print its figures."""
    import json

    from services.reports.write import write_report

    page: Path = write_report(home.root, job_id, home.job(job_id).report)
    content = json.loads((page.parent / "report.json").read_text())
    table = Table("", "accuracy", "95 % interval", "mean length", "of base", "L-Acc", "questions")
    for label, e in content["evaluations"].items():
        low, high = e["accuracy_ci95"]
        table.add_row(
            label,
            _percent(e["accuracy"]),
            f"{100 * low:.1f} to {100 * high:.1f} %",
            f"{e['length_mean']:.1f}",
            _percent(e["length_ratio"]),
            _percent(e["l_acc"]),
            str(e["questions"]),
        )
    console.print(table)
    console.print(content["headline"], style="bold")
    console.print(f"report: {page}", soft_wrap=True, highlight=False)


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f} %"
