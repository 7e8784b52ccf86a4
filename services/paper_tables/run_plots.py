"""Runs side by side: figures 3b and 3c."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.paper_tables.runs import Run
from services.reports.figure_style import (
    BASE_COLOUR,
    INK,
    ROUND,
    STAGE_COLOURS,
    TITLE,
    dress,
    in_percent,
    new_figure,
)

_PANELS: Final = (
    ("response_length_mean", "length", "Mean response length (tokens)"),
    ("accuracy", "accuracy", "Accuracy"),
)


def runs_figure(runs: Sequence[Run]) -> Figure:
    """Figures 3b and 3c: length and accuracy over the steps, and where each run ends."""
    figure = new_figure(9.2, 9.6)
    *curves, ends = figure.subplots(3, 1)
    for ax, (recorded, evaluated, title) in zip(curves, _PANELS, strict=True):
        for i, run in enumerate(runs):
            colour = _colour(i)
            x = [s["step"] for s in run.steps]
            y = [_or_nan(s.get(recorded)) for s in run.steps]
            ax.plot(x, y, color=colour, lw=1, alpha=0.55)
            points = [(e.step, _or_nan(getattr(e, evaluated))) for e in run.evaluations]
            marks = {"color": colour, "mec": "white", "ms": 7, "label": run.name}
            ax.plot(*zip(*points, strict=True), "D", **marks)
        ax.set_title(f"{title} (line: training batches, ◆ held out)", **TITLE)
        ax.set_xlabel("step")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=ROUND))
        dress(ax, grid=True)
    curves[0].set_ylim(bottom=0)
    in_percent(curves[1])
    curves[0].legend(fontsize=9, frameon=False, labelcolor=INK)
    _draw_ends(ends, runs)
    return figure


def _draw_ends(ax: Axes, runs: Sequence[Run]) -> None:
    """Accuracy with its interval over length, of the base and of every run after its last stage."""
    shown = [(r.name, r.after[-1], _colour(i)) for i, r in enumerate(runs) if r.after]
    if runs[0].base:
        shown.insert(0, ("base", runs[0].base, BASE_COLOUR))
    for name, end, colour in shown:
        if end.accuracy is None:
            continue
        low, high = end.interval
        error = [[max(0.0, end.accuracy - low)], [max(0.0, high - end.accuracy)]]
        style: dict[str, Any] = {"fmt": "D", "color": colour, "mec": "white", "ms": 8, "capsize": 3}
        ax.errorbar([end.length], [end.accuracy], yerr=error, **style)
        where = (end.length, end.accuracy)
        ax.annotate(name, where, (8, 0), textcoords="offset points", color=INK, fontsize=9)
    ax.set_xlim(left=0)
    in_percent(ax)
    ax.set_xlabel("mean response length (tokens)")
    ax.set_title("Held-out accuracy (95 % interval) over length, at the end", **TITLE)
    dress(ax, grid=True)


def _colour(i: int) -> str:
    return STAGE_COLOURS[i % len(STAGE_COLOURS)]


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
