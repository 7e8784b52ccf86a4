"""A job on the terminal: stages, time left, and the figures with their history."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from api.client import AnyJob, is_evaluation
from api.terminal_plot import plot
from services.lineage import REWOUND
from services.stores.lifecycle import ACTIVE, RESUMABLE

_COLUMNS: Final = 46
_LINES: Final = 3
"""Of a plot."""
_STAGES: Final = ("blue", "yellow", "green", "magenta")
"""Colour of each stage, the same as on the live page."""
_EVENTS: Final = 4
COLOURS: Final = {
    "queued": "yellow",
    "starting": "yellow",
    "running": "cyan",
    "pausing": "yellow",
    "paused": "blue",
    "stopping": "yellow",
    "reconciling": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "magenta",
    "interrupted": "yellow",
}
_EXPLAINED: Final = frozenset({"failed", "cancelled", "interrupted", "paused", "reconciling"})
"""States whose cause says more than the progress."""


@dataclass(frozen=True)
class _Figure:
    title: str
    field: str
    format: str
    scale: float = 1.0


_PLOTTED: Final = (
    _Figure("token entropy (nats)", "entropy", "{:.3f}"),
    _Figure("response length (tokens)", "response_length_mean", "{:.0f}"),
    _Figure("accuracy (%)", "accuracy", "{:.1f}", 100),
)
_FIGURES: Final = (*_PLOTTED, _Figure("generated tokens/s", "tokens_per_second", "{:,.0f}"))


def duration(seconds: float | None) -> str:
    """Seconds for people: ``4 s``, ``2 min 05 s``, ``3 h 12 min``."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class ProgressView:
    """What is known of a job, as a rich renderable. Feed it and show it in a ``rich.live.Live``;
    or have :meth:`line` print one line a step where there is no terminal."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.job = job
        self._steps: dict[int, dict[str, Any]] = {}
        self._evaluations: dict[str, Mapping[str, Any]] = {}
        self._events: list[Mapping[str, Any]] = []
        self.ended_as: dict[str, Any] = {}
        """State and cause from the last event, once that says that the attempt has ended."""

    # -- feeding --------------------------------------------------------------------------------

    def see_job(self, job: Mapping[str, Any]) -> None:
        if job["attempt"] != self.job["attempt"]:
            self._steps.clear()  # Steps after the checkpoint are run again.
        self.job = job

    def see_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            self._steps[int(record["step"])] = record

    def see_event(self, event: Mapping[str, Any]) -> None:
        self._events = [*self._events[-_EVENTS + 1 :], event]
        if event["type"] == "state":
            state, cause = event["data"].get("to"), event["data"].get("cause")
            self.ended_as = {} if state in ACTIVE else {"state": state, "cause": cause}
        if event["type"] == "evaluation" and "label" in event["data"]:
            self._evaluations[str(event["data"]["label"])] = event["data"]
        if event["type"] == REWOUND:
            kept = {
                k: e for k, e in self._evaluations.items() if e["step"] <= event["data"]["step"]
            }
            self._evaluations = kept

    @property
    def last_step(self) -> int:
        """The highest step seen, 0 before the first."""
        return max(self._steps, default=0)

    # -- showing --------------------------------------------------------------------------------

    def __rich__(self) -> RenderableType:
        state = str(self.job["state"])
        colour = COLOURS.get(state, "white")
        title = f"{self.job['id']}  {self.job['name']}  [{colour}]{state}[/{colour}]"
        if self.job["attempt"] > 1:
            title += f"  attempt {self.job['attempt']}"
        parts: list[RenderableType] = [self._stages(), self._now(), self._figures()]
        if self._evaluations:
            parts.append(self._evaluated())
        if self._events:
            parts.append(self._log())
        return Panel(Group(*parts), title=title, title_align="left", border_style=colour)

    def _stages(self) -> RenderableType:
        progress = self.job.get("progress") or {}
        current = int(progress.get("stage_index", -1))
        finished = self.job["state"] == "succeeded"
        table = Table.grid(padding=(0, 2))
        suffix = f".{progress['cycle']}" if progress.get("cycle", 1) > 1 else ""
        for index, stage in enumerate(self.job["spec"]["stages"]):
            label, total = f"{stage['name']}{suffix}", int(stage["steps"])
            ended = finished or index < current
            # A stage may have ended before its steps were used up.
            done = self._recorded(label) or total if ended else 0
            if index == current and not finished:
                done = min(int(progress.get("stage_step", 0)), total)
            style = "bold" if index == current and not finished else "dim"
            table.add_row(
                Text(label, style=style),
                ProgressBar(total=total, completed=total if ended else done, width=30),
                Text(f"step {done} of {total}", style=style),
            )
        return table

    def _now(self) -> RenderableType:
        progress = self.job.get("progress") or {}
        if self.job["state"] in _EXPLAINED:
            return Text(str(self.job.get("cause") or ""), style="bold")
        if not progress:
            since = duration(time.time() - float(self.job["created_at"]))
            return Text(f"waiting for the driver for {since}", style="dim")
        most = "at most " if _may_end_sooner(self.job["spec"]) else ""
        parts = [f"step {progress.get('step', 0)} of {most}{progress.get('total_steps', '?')}"]
        if cycles := self.job["spec"].get("cycles"):
            parts.append(f"cycle {progress.get('cycle', 1)} of at most {cycles['max_cycles']}")
        if self.job["state"] != "succeeded":
            parts.append(f"now: {progress.get('phase', 'starting')}")
            if progress.get("eta_seconds") is not None:
                parts.append(f"time left: {duration(progress['eta_seconds'])}")
            if speed := self._steps.get(self.last_step, {}).get("tokens_per_second"):
                parts.append(f"{speed:,.0f} tokens/s")
        return Text(" · ".join(parts))

    def _figures(self) -> RenderableType:
        """Each figure with its course over the steps, in the colours of the stages."""
        table = Table.grid(padding=(0, 2))
        for figure in _PLOTTED:
            found = self._values(figure)
            values = [value for value, _ in found]
            drawn = plot(values, [style for _, style in found], columns=_COLUMNS, lines=_LINES)
            now, first, low, high = (
                (figure.format.format(v) for v in (values[-1], values[0], min(values), max(values)))
                if values
                else ("-", "-", "", "")
            )
            said = Text.assemble(figure.title, "\n", (now, "bold"), "\n", (f"first {first}", "dim"))
            ends = Text("\n".join([high, *[""] * (_LINES - 2), low]), style="dim", justify="right")
            table.add_row(said, ends, Text("\n").join(drawn))
        return table

    def _evaluated(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("held-out evaluation")
        table.add_column("accuracy", justify="right")
        table.add_column("mean length", justify="right")
        for label, found in self._evaluations.items():
            table.add_row(
                label, f"{100 * found['accuracy']:.1f} %", f"{found['length_mean']:.0f} tokens"
            )
        return table

    def _log(self) -> RenderableType:
        colours = {"warning": "yellow", "error": "red"}
        return Group(
            *(
                Text(
                    f"{time.strftime('%H:%M:%S', time.localtime(e['time']))}  {e['message']}",
                    style=colours.get(e["level"], "dim"),
                    overflow="ellipsis",
                    no_wrap=True,
                )
                for e in self._events
            )
        )

    def _recorded(self, label: str) -> int:
        return sum(r.get("stage") == label for r in self._steps.values())

    def _values(self, figure: _Figure) -> list[tuple[float, str]]:
        """Value and style of each step that has the figure."""
        names = [stage["name"] for stage in self.job["spec"]["stages"]]
        found = []
        for step in sorted(self._steps):
            record = self._steps[step]
            if (value := record.get(figure.field)) is None:
                continue
            name = str(record.get("stage", "")).partition(".")[0]  # without the cycle's number
            place = names.index(name) if name in names else 0
            found.append((float(value) * figure.scale, _STAGES[place % len(_STAGES)]))
        return found


def _may_end_sooner(spec: Mapping[str, Any]) -> bool:
    """Whether the job's number of steps is only a bound."""
    return bool(spec.get("cycles")) or any(s.get("until") or s.get("guard") for s in spec["stages"])


def step_line(record: Mapping[str, Any], total_steps: str) -> str:
    """One step as one line, for logs."""
    parts = [f"{record.get('stage', '?')} step {record['step']} of {total_steps}"]
    for figure in _FIGURES:
        value = record.get(figure.field)
        if value is not None:
            parts.append(f"{figure.title} {figure.format.format(float(value) * figure.scale)}")
    if record.get("eta_seconds") is not None:
        parts.append(f"time left {duration(record['eta_seconds'])}")
    return ", ".join(parts)


def job_table(jobs: Iterable[Mapping[str, Any]]) -> Table:
    """Jobs, one a row; why one ended is left to the view of that job."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("job", "name", "state", "stage", "step", "time left"):
        table.add_column(column, no_wrap=True)
    for job in jobs:
        progress = job.get("progress") or {}
        state = str(job["state"])
        active = state in ACTIVE
        left = progress.get("eta_seconds") if active else None
        done = ""
        if "total_steps" in progress:
            done = f"{progress['step']} of {progress['total_steps']}"
        elif "questions_total" in progress:
            done = f"{progress['questions_done']} of {progress['questions_total']} questions"
        table.add_row(
            str(job["id"]),
            str(job["name"]),
            Text(state, style=COLOURS.get(state, "")),
            str(progress.get("stage") or progress.get("benchmark") or ""),
            done,
            duration(left) if left is not None else "",
        )
    return table


def print_outcome(console: Console, job: AnyJob, *, hint: bool = True) -> None:
    """Say how a job ended and, as a hint, what can be done next."""
    state, colour = job.state, COLOURS.get(job.state, "white")
    cause = f": {job.cause}" if job.cause else ""
    evaluation = is_evaluation(job.id)
    what = "evaluation" if evaluation else "job"
    console.print(Text(f"{what} {job.id} {state}{cause}", style=colour))
    if hint and state in RESUMABLE:
        where = "its finished chunks" if evaluation else "its last checkpoint"
        console.print(f"go on from {where}: laconic resume {job.id}")
    if hint and state == "succeeded" and not evaluation:
        console.print(f"what changed: laconic report {job.id} --out FOLDER")
