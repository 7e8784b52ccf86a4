"""``laconic ablate``: a study of the paper, run through the control plane, ending in its table."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from api.client import AnyJob, Client
from api.serving import ControlPlane
from api.watching import watch
from services.ablation.arms import Arm
from services.ablation.figures import course_figure, routing_figure, tradeoff_figure
from services.ablation.kept_runs import KeptRuns
from services.ablation.page import write_page
from services.ablation.studies import STUDIES
from services.ablation.sweep import (
    Ledger,
    Run,
    budget_known,
    in_flight,
    in_order,
    specification,
)
from services.ablation.table import Report, as_json, markdown, table
from services.home import Home
from services.spec.job import JobSpec
from services.stores.lifecycle import RESUMABLE


class RunFailed(RuntimeError):
    """A job of the sweep did not succeed; the sweep can be started again."""


class Sweep:
    """One study over some seeds, ``parallel`` runs at a time. What has run before is not run
    again."""

    def __init__(
        self, study: str, spec: JobSpec, seeds: Sequence[int], home: Home, parallel: int = 1
    ) -> None:
        self.study, self.seeds, self.home, self.parallel = study, seeds, home, parallel
        self.arms: list[Arm] = STUDIES[study](spec)
        self.reports: dict[tuple[str, int], Report] = {}
        self._tokens: dict[tuple[str, int], int] = {}
        self._ledger = Ledger(home.root / "ablations" / "jobs.json")

    def run(self, client: Client, console: Console, ending: threading.Event, out: Path) -> bool:
        """Run what is missing; rewrite the table after each run. False if it was stopped.

        Raises:
            RunFailed: a job ended otherwise than succeeded.
            ApiError: the control plane refused a job.
        """
        runs = list(in_order(self.arms, self.seeds))
        kept = KeptRuns(out / "runs")
        missing = [run for run in runs if not self._take(run, kept)]
        if self.reports:
            self.write(out)
        jobs: dict[tuple[str, int], str] = {}
        for position, run in enumerate(missing):
            title = f"{self.study}: {run.arm.name}, seed {run.seed}"
            console.rule(f"{title} ({position + 1} of {len(missing)})")
            for ahead in in_flight(missing, position, self.parallel, self._tokens):
                if ahead.key not in jobs and not self._take(ahead, kept):
                    spec = specification(ahead, self._tokens)
                    jobs[ahead.key] = self._job(client, spec).id
            if run.key not in self.reports:
                finished = self._finished(client, jobs[run.key], console, ending)
                if finished is None:
                    return False
                self._add(run, kept.keep(specification(run, self._tokens), finished))
            self.write(out)
        return True

    def _take(self, run: Run, kept: KeptRuns) -> bool:
        """Take a run that was made before; False if it was not, or cannot be told yet."""
        if run.key in self.reports:
            return True
        if not budget_known(run, self._tokens):
            return False
        if report := kept.load(specification(run, self._tokens)):
            self._add(run, report)
        return report is not None

    def _add(self, run: Run, report: Report) -> None:
        self.reports[run.key] = report
        self._tokens[run.key] = sum(s["generated_tokens"] for s in report["steps"])

    def _finished(
        self, client: Client, job_id: str, console: Console, ending: threading.Event
    ) -> Report | None:
        """Watch a job to its end and return its report; None if the sweep is to end first."""
        job = client.job(job_id)
        if job.state != "succeeded":
            job = watch(client, job_id, console, stop=ending.is_set)
        if ending.is_set():
            return None
        if job.state != "succeeded":
            raise RunFailed(
                f"job {job_id} ({job.name}) is {job.state}: {job.cause}; put it "
                "right and run the same command again"
            )
        return client.report(job_id)

    def _job(self, client: Client, spec: JobSpec) -> AnyJob:
        """Return the job of a specification: the one there is, resumed if it has stopped, or a
        new one."""
        known = self._ledger.job_of(spec)
        if known is None:
            made = client.submit({"spec": spec.model_dump(mode="json")})
            self._ledger.record(spec, made.id)
            return made
        job = client.job(known)
        return client.resume(known) if job.state in RESUMABLE else job

    def write(self, out: Path) -> None:
        """Write table, data and plots of what has run."""
        out.mkdir(parents=True, exist_ok=True)
        rows = table(self.arms, self.reports)
        (out / f"{self.study}.md").write_text(markdown(rows))
        (out / f"{self.study}.json").write_text(json.dumps(as_json(rows), indent=1) + "\n")
        figures = {"": tradeoff_figure(rows), "-course": course_figure(self.arms, self.reports)}
        if routed := routing_figure(list(self.reports.values())):
            figures["-routing"] = routed
        for name, figure in figures.items():
            figure.savefig(out / f"{self.study}{name}.png", dpi=110)
        write_page(out)


def run_ablation(console: Console, sweep: Sweep, url: str | None, out: Path) -> int:
    """Run a sweep on the control plane at ``url``, or on one of its own.

    Ctrl-C leaves the running jobs where they can go on; the same command takes it up.

    Returns:
        Exit code: 0 when every run succeeded, 130 after an interruption.
    """
    ending, hurry = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        (hurry if ending.is_set() else ending).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with ExitStack() as stack:
        plane = (
            None if url else stack.enter_context(ControlPlane(sweep.home, port=0, takes_up=False))
        )
        own = (plane.url, plane.key) if plane else (url, None)
        client = stack.enter_context(Client(*own))
        finished = sweep.run(client, console, ending, out)
        if not finished and plane is not None:
            console.print("stopping where the sweep can go on (Ctrl-C again: at once) ...")
            plane.drain(give_up=hurry.is_set)
    if not finished:
        console.print("the same command goes on where this one stopped")
        return 130
    console.print((out / f"{sweep.study}.md").read_text(), markup=False)
    console.print(f"table, plots and report.html: {out}", soft_wrap=True, highlight=False)
    return 0
