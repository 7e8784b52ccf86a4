"""The plots of a report, drawn with matplotlib's figures alone: no display, no global state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.reports.collect import BASE, PHASES, ReportData, StageSpan
from services.reports.comparison import EvaluationFigures
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

_PHASE_COLOURS: Final[Mapping[str, str]] = {
    "generate": "#2f6fdb",
    "verify": "#0f9d74",
    "train": "#e07b16",
    "sync": "#b0449f",
    "evaluate": "#7a5fd0",
    "checkpoint": "#c9a227",
    "other": "#8a94a3",
}
_SMOOTHING: Final = 5
"""Steps in the centred mean drawn over a noisy series."""


@dataclass(frozen=True)
class _Panel:
    """One series over the steps of a run."""

    key: str
    title: str
    share: bool = False
    companion: str | None = None
    companion_label: str = ""
    evaluated: str | None = None
    """Field of :class:`EvaluationFigures` drawn as points."""


_PANELS: Final = (
    _Panel(
        "entropy",
        "Mean token entropy (nats)",
        companion="entropy_untempered",
        companion_label="at temperature 1",
    ),
    _Panel(
        "response_length_mean",
        "Mean response length (tokens)",
        companion="response_length_median",
        companion_label="median",
        evaluated="length_mean",
    ),
    _Panel("accuracy", "Accuracy", share=True, evaluated="accuracy"),
)


def training_figure(data: ReportData) -> Figure:
    """Entropy, length and accuracy per step, the stages shaded, the evaluations as points."""
    figure = new_figure(9.2, 8.4)
    axes = figure.subplots(len(_PANELS), 1, sharex=True)
    for ax, panel in zip(axes, _PANELS, strict=True):
        _draw_panel(ax, data, panel)
        _explain(ax, panel)
        ax.tick_params(labelbottom=ax is axes[-1])
    _name_stages(axes[0], data.stages)
    axes[-1].set_xlabel("step")
    return figure


def summary_figure(data: ReportData) -> Figure:
    """Length and accuracy of the base and after each stage, side by side."""
    figure = new_figure(9.2, 3.4)
    left, right = figure.subplots(1, 2)
    _draw_lengths(left, data)
    _draw_accuracies(right, data)
    return figure


def wall_time_figure(data: ReportData) -> Figure:
    """Where the time went, by phase."""
    figure = new_figure(9.2, 2.8)
    ax = figure.subplots()
    phases = [p for p in (*PHASES, "other") if data.wall_seconds[p] > 0]
    seconds = [data.wall_seconds[p] for p in phases]
    total = data.wall_seconds["total"] or 1.0
    bars = ax.barh(phases, seconds, color=[_PHASE_COLOURS[p] for p in phases], height=0.66)
    labels = [f"{s:.1f} s · {100 * s / total:.0f} %" for s in seconds]
    ax.bar_label(bars, labels, padding=5, color=INK, fontsize=9)
    ax.set_xlim(0, max(seconds, default=1.0) * 1.2)
    ax.invert_yaxis()
    ax.set_title(f"Wall time by phase, {total:.0f} s in all", **TITLE)
    dress(ax)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    return figure


def headline_figure(data: ReportData) -> Figure:
    """The result in one picture, for a README: lengths, accuracies and entropy over the run."""
    figure = new_figure(12, 3.8)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.35))
    _draw_lengths(left, data)
    _draw_accuracies(middle, data)
    _draw_panel(right, data, _PANELS[0])
    _name_stages(right, data.stages)
    right.set_xlabel(f"step (dashed: {_PANELS[0].companion_label})")
    return figure


def _stage_colour(stages: Sequence[StageSpan], name: str) -> str:
    if name == BASE:
        return BASE_COLOUR
    return STAGE_COLOURS[[s.name for s in stages].index(name) % len(STAGE_COLOURS)]


def _draw_panel(ax: Axes, data: ReportData, panel: _Panel) -> None:
    for span in data.stages:
        steps = [s for s in data.steps if s["stage"] == span.name]
        if span.first_step is None or span.last_step is None:
            continue
        colour = _stage_colour(data.stages, span.name)
        ax.axvspan(span.first_step - 0.5, span.last_step + 0.5, color=colour, alpha=0.07, lw=0)
        x = [s["step"] for s in steps]
        values = _values(steps, panel.key)
        if panel.companion:
            ax.plot(x, _values(steps, panel.companion), color=colour, lw=1, ls=(0, (3, 2)))
        if len(values) >= 2 * _SMOOTHING:
            ax.plot(x, values, color=colour, alpha=0.35, lw=1)
            values = _centred_mean(values)
        marker = "o" if len(values) == 1 else None
        ax.plot(x, values, color=colour, lw=2, solid_capstyle="round", marker=marker)
    if panel.evaluated:
        _draw_evaluations(ax, data, panel.evaluated)
    if panel.share:
        in_percent(ax)
    else:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=ROUND))
    ax.set_title(panel.title, **TITLE)
    dress(ax, grid=True)


def _values(steps: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float("nan") if s.get(key) is None else s[key] for s in steps]


def _centred_mean(values: Sequence[float]) -> list[float]:
    """Mean of each value and up to two on either side; not-a-numbers are left out."""
    reach, means = _SMOOTHING // 2, []
    for i in range(len(values)):
        window = [v for v in values[max(0, i - reach) : i + reach + 1] if not math.isnan(v)]
        means.append(sum(window) / len(window) if window else float("nan"))
    return means


def _draw_evaluations(ax: Axes, data: ReportData, field: str) -> None:
    for label, figures in data.evaluations.items():
        value = getattr(figures, field)
        if value is None:
            continue
        error = _error_bar(figures) if field == "accuracy" else None
        ax.errorbar(
            [figures.step],
            [value],
            yerr=error,
            fmt="D",
            ms=7,
            color=_stage_colour(data.stages, label),
            mec="white",
            mew=1.2,
            capsize=3,
            zorder=5,
        )


def _error_bar(figures: EvaluationFigures) -> list[list[float]] | None:
    if figures.accuracy is None:
        return None
    low, high = figures.accuracy_ci95
    return [[max(0.0, figures.accuracy - low)], [max(0.0, high - figures.accuracy)]]


def _explain(ax: Axes, panel: _Panel) -> None:
    """A quiet legend: what is drawn how, without colours, which stand for the stages."""
    parts = [f"— training batch (bold: mean of {_SMOOTHING} steps)"]
    if panel.companion_label:
        parts.append(f"- - {panel.companion_label}")
    if panel.evaluated:
        parts.append("◆ held-out evaluation")
    ax.set_title(" · ".join(parts), loc="right", fontsize=8, color=INK, pad=10)


def _name_stages(ax: Axes, stages: Sequence[StageSpan]) -> None:
    for span in stages:
        if span.first_step is None or span.last_step is None:
            continue
        ax.text(
            (span.first_step + span.last_step) / 2,
            0.97,
            span.name,
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=9.5,
            fontweight="bold",
            color=_stage_colour(stages, span.name),
        )


def _draw_lengths(ax: Axes, data: ReportData) -> None:
    labels = list(data.evaluations)
    lengths = [f.length_mean for f in data.evaluations.values()]
    colours = [_stage_colour(data.stages, label) for label in labels]
    bars = ax.bar(_bar_names(labels), lengths, color=colours, width=0.62)
    texts = [
        f"{f.length_mean:.0f}"
        + (f"\n{100 * f.length_ratio:.0f} % of base" if f.length_ratio and label != BASE else "")
        for label, f in data.evaluations.items()
    ]
    ax.bar_label(bars, texts, padding=3, color=INK, fontsize=9.5, fontweight="bold")
    ax.set_ylim(0, max(lengths, default=1.0) * 1.22)
    ax.set_title("Mean response length (tokens)", **TITLE)
    dress(ax, grid=True)


def _draw_accuracies(ax: Axes, data: ReportData) -> None:
    known = {k: f for k, f in data.evaluations.items() if f.accuracy is not None}
    values = [f.accuracy or 0.0 for f in known.values()]
    colours = [_stage_colour(data.stages, label) for label in known]
    names = _bar_names(list(known))
    bars = ax.bar(names, values, color=colours, width=0.62)
    for name, figures in zip(names, known.values(), strict=True):
        ax.errorbar(
            [name],
            [figures.accuracy or 0.0],
            yerr=_error_bar(figures),
            fmt="none",
            ecolor=INK,
            elinewidth=1.2,
            capsize=4,
        )
    texts = [f"{100 * v:.1f} %" for v in values]
    ax.bar_label(bars, texts, label_type="center", color="white", fontsize=9.5, fontweight="bold")
    ax.set_ylim(0, 1.05)
    in_percent(ax)
    ax.set_title("Accuracy (95 % interval)", **TITLE)
    dress(ax, grid=True)


def _bar_names(labels: Sequence[str]) -> list[str]:
    return [label if label == BASE else f"after\n{label}" for label in labels]
