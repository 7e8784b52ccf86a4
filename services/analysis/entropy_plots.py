"""Plots of token entropy over a run, and of the conflict between the two objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.analysis.entropy_course import ConflictCourse, EntropyCourse
from services.reports.figure_style import (
    INK,
    QUIET,
    ROUND,
    STAGE_COLOURS,
    TITLE,
    dress,
    in_percent,
    new_figure,
)

_PANELS: Final = (
    ("Every token", (("entropy", "exact"), ("sampled", "from log-probabilities"))),
    ("By part", (("think", "thinking"), ("answer", "answer"))),
    ("By outcome", (("correct", "correct"), ("incorrect", "incorrect"))),
    ("Percentiles", (("p99", "99 %"), ("p95", "95 %"), ("p80", "80 %"), ("p50", "50 %"))),
)


def entropy_figure(course: EntropyCourse) -> Figure:
    """Four panels over the steps: all tokens, by part, by outcome, percentiles; in nats."""
    figure = new_figure(9.2, 6.2)
    panels = figure.subplots(2, 2, sharex=True)
    for ax, (title, lines) in zip(panels.flat, _PANELS, strict=True):
        for (name, label), colour in zip(lines, STAGE_COLOURS, strict=False):
            _line(ax, course.steps, course.series[name], colour, label)
        ax.set_ylim(bottom=0)
        _mark_stages(ax, course.steps, course.stages)
        ax.set_title(f"{title} (nats)", **TITLE)
        dress(ax, grid=True)
        ax.legend(fontsize=8, frameon=False, labelcolor=INK)
    for ax in panels[1]:
        ax.set_xlabel("step")
    return figure


def conflict_figure(course: ConflictCourse) -> Figure:
    """Cosine of the two gradients, and the share of connectors in each, over the sampled steps."""
    figure = new_figure(9.2, 3.4)
    left, right = figure.subplots(1, 2)
    _line(left, course.steps, course.series["cosine"], STAGE_COLOURS[0], None)
    left.axhline(0, color=QUIET, lw=0.8)
    left.set_ylim(-1.05, 1.05)
    left.set_title("Cosine of the two gradients", **TITLE)
    names = (
        ("connector_share_compress", "compression objective"),
        ("connector_share_accuracy", "accuracy objective"),
    )
    for (name, label), colour in zip(names, STAGE_COLOURS, strict=False):
        _line(right, course.steps, course.series[name], colour, label)
    right.set_ylim(bottom=0)
    in_percent(right)
    right.set_title("Share of connectors in the gradient", **TITLE)
    right.legend(fontsize=8, frameon=False, labelcolor=INK)
    for ax in (left, right):
        _mark_stages(ax, course.steps, course.stages)
        ax.set_xlabel("step")
        dress(ax, grid=True)
    return figure


def _line(
    ax: Axes,
    steps: Sequence[int],
    values: Sequence[float | None],
    colour: str,
    label: str | None,
) -> None:
    drawn = [float("nan") if v is None else v for v in values]
    ax.plot(steps, drawn, lw=1.8, marker="o", ms=3, color=colour, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=ROUND))


def _mark_stages(ax: Axes, steps: Sequence[int], stages: Sequence[str]) -> None:
    """A quiet upright line wherever another stage begins."""
    for i in range(1, len(steps)):
        if stages[i] != stages[i - 1]:
            ax.axvline((steps[i] + steps[i - 1]) / 2, color=QUIET, lw=1, ls=(0, (3, 2)))
