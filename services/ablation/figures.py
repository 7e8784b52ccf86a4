"""The plots of a sweep: where each policy ends, and the way there."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.figure import Figure

from services.ablation.arms import Arm
from services.ablation.table import Report, Row
from services.analysis.objective_counts import ObjectiveCounts
from services.analysis.response_plots import objective_counts_figure
from services.reports.figure_style import STAGE_COLOURS, TITLE, dress, in_percent, new_figure

_SERIES: Final = (
    ("response_length_mean", "Mean response length (tokens)"),
    ("accuracy", "Accuracy of training responses"),
    ("entropy_untempered", "Token entropy at temperature 1 (nats)"),
)
_COLOURS: Final = (*STAGE_COLOURS, "#c9a227", "#7a5fd0")


def tradeoff_figure(rows: Sequence[Row]) -> Figure:
    """Accuracy against length: the 95 % interval upright, least to most over seeds across."""
    figure = new_figure(8.4, 5.2)
    ax = figure.subplots()
    for i, row in enumerate(rows):
        colour = _COLOURS[i % len(_COLOURS)]
        low, high = row.accuracy_ci95
        ax.errorbar(
            row.length_mean,
            row.accuracy,
            xerr=[[row.length_mean - min(row.lengths)], [max(row.lengths) - row.length_mean]],
            yerr=[[row.accuracy - low], [high - row.accuracy]],
            fmt="o",
            color=colour,
            capsize=3,
            label=row.name,
        )
    ax.set_xlabel("mean response length on held-out questions (tokens)")
    ax.set_ylabel("accuracy")
    in_percent(ax)
    dress(ax, grid=True)
    ax.legend(fontsize=8, frameon=False)
    return figure


def course_figure(arms: Sequence[Arm], reports: Mapping[tuple[str, int], Report]) -> Figure:
    """Length, accuracy and entropy per step (figure 3b): the mean over seeds, each seed thin."""
    figure = new_figure(8.4, 8.4)
    axes = figure.subplots(len(_SERIES), 1, sharex=True)
    for i, arm in enumerate(arms):
        mine = [r["steps"] for (name, _), r in sorted(reports.items()) if name == arm.name]
        colour = _COLOURS[i % len(_COLOURS)]
        for ax, (key, _) in zip(axes, _SERIES, strict=True):
            for steps in mine:
                ax.plot(*_series(steps, key), color=colour, alpha=0.25, linewidth=0.8)
            if mine:
                ax.plot(*_mean(mine, key), color=colour, linewidth=1.8, label=arm.name)
    for ax, (_, title) in zip(axes, _SERIES, strict=True):
        ax.set_title(title, **TITLE)
        dress(ax, grid=True)
    axes[0].legend(fontsize=8, frameon=False)
    axes[-1].set_xlabel("step")
    return figure


def routing_figure(reports: Sequence[Report]) -> Figure | None:
    """Samples trained for compression and for accuracy per step (figure 3a), mean over seeds; None
    where no run mixed the two."""
    mixed = [r["steps"] for r in reports if any(_mixed(s) for s in r["steps"])]
    if not mixed:
        return None
    means = {}
    for route in ("compress", "accuracy"):
        counts = [[{"step": s["step"], "n": s["routed"][route]} for s in steps] for steps in mixed]
        shared, means[route] = _mean(counts, "n")
    return objective_counts_figure(ObjectiveCounts(shared, **means))


def _mixed(step: Mapping[str, Any]) -> bool:
    routed = step.get("routed") or {}
    return bool(routed.get("compress")) and bool(routed.get("accuracy"))


def _series(steps: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    points = [(s["step"], s[key]) for s in steps if s.get(key) is not None]
    return [p[0] for p in points], [p[1] for p in points]


def _mean(runs: Sequence[Sequence[Mapping[str, Any]]], key: str) -> tuple[list[int], list[float]]:
    """Mean over the runs at every step that all of them have."""
    values: dict[int, list[float]] = {}
    for steps in runs:
        for step, value in zip(*_series(steps, key), strict=True):
            values.setdefault(step, []).append(value)
    shared = sorted(step for step, found in values.items() if len(found) == len(runs))
    return shared, [statistics.fmean(values[step]) for step in shared]
