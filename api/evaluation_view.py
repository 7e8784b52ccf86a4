"""An evaluation on the terminal: how far it is, and its figures when it has ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from api.progress_view import COLOURS, duration
from services.stores.lifecycle import ACTIVE


class EvaluationView:
    """What is known of an evaluation under way, as a rich renderable."""

    def __init__(self, evaluation: Mapping[str, Any]) -> None:
        self.job = evaluation
        self._done: list[str] = []
        self._shown: tuple[Any, Any] = (None, None)
        self.ended_as: dict[str, Any] = {}
        """State and cause from the last event, once that says that the attempt has ended."""

    def see_job(self, evaluation: Mapping[str, Any]) -> None:
        self.job = evaluation

    def see_event(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "state":
            state, cause = event["data"].get("to"), event["data"].get("cause")
            self.ended_as = {} if state in ACTIVE else {"state": state, "cause": cause}
        if event["type"] == "evaluation":
            self._done.append(str(event["message"]))

    def new_lines(self) -> list[str]:
        """One line where questions were answered since the last call, for logs."""
        progress = self.job.get("progress") or {}
        shown = (self.job["attempt"], progress.get("questions_done"))
        if not progress.get("questions_done") or shown == self._shown:
            return []
        self._shown = shown
        return [_now(progress)]

    def __rich__(self) -> RenderableType:
        state, progress = str(self.job["state"]), self.job.get("progress") or {}
        colour = COLOURS.get(state, "white")
        title = f"{self.job['id']}  {self.job['name']}  [{colour}]{state}[/{colour}]"
        if self.job["attempt"] > 1:
            title += f"  attempt {self.job['attempt']}"
        parts: list[RenderableType] = [Text(line, "dim") for line in self._done]
        if state not in ACTIVE:
            parts.append(Text(str(self.job.get("cause") or "")))
        elif progress:
            total = progress["questions_total"]
            parts += [
                ProgressBar(total=total, completed=progress["questions_done"], width=60),
                Text(_now(progress)),
            ]
        else:
            since = duration(time.time() - float(self.job["created_at"]))
            parts.append(Text(f"waiting for the driver for {since}", style="dim"))
        return Panel(Group(*parts), title=title, title_align="left", border_style=colour)


def _now(progress: Mapping[str, Any]) -> str:
    parts = [f"{progress['questions_done']} of {progress['questions_total']} questions"]
    if progress.get("benchmark"):
        parts.insert(0, str(progress["benchmark"]))
    if progress.get("accuracy") is not None:
        parts.append(f"accuracy so far {100 * progress['accuracy']:.1f} %")
    if progress.get("tokens_per_second") is not None:
        parts.append(f"{progress['tokens_per_second']:,.0f} tokens/s")
    if progress.get("eta_seconds") is not None:
        parts.append(f"time left {duration(progress['eta_seconds'])}")
    elif progress.get("phase") == "start":
        parts.append("starting the generators")
    return ", ".join(parts)


def result_table(result: Mapping[str, Any]) -> Table:
    """The main figures of ``evaluation.json``, a benchmark a row; intervals are 95 %."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("benchmark", no_wrap=True)
    for column in ("asked", "accuracy (%)", "mean length", "cut", "unjudged"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in result["benchmarks"].items():
        table.add_row(
            name,
            f"{found['questions']} x {found['samples']}",
            _with_ends(found["accuracy"], found["accuracy_ci95"], 100, 1),
            _with_ends(found["length_mean"], found["length_ci95"], 1, 0),
            f"{100 * found['truncated_ratio']:.1f} %",
            str(found["unverified"]),
        )
    return table


def _with_ends(value: float | None, ends: Sequence[float], scale: float, digits: int) -> str:
    if value is None:
        return "n/a"
    shown, low, high = (f"{scale * v:.{digits}f}" for v in (value, *ends))
    return f"{shown} ({low} to {high})"
