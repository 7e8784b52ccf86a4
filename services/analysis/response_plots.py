"""Plots of responses and of how samples were routed: figures 3a, 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from services.analysis.answer_share import AnswerShare
from services.analysis.objective_counts import ObjectiveCounts
from services.analysis.transition_groups import (
    GROUPS,
    Box,
    Group,
    Measure,
    TransitionGroups,
)
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

_GROUP_NAMES: Final[Mapping[Group, str]] = {
    "preserved": "preserved\n✓ → ✓",
    "lost": "lost\n✓ → ✗",
    "gained": "gained\n✗ → ✓",
    "failed": "failed\n✗ → ✗",
}
_PANELS: Final[tuple[tuple[Measure, str], ...]] = (
    ("tokens", "Response tokens"),
    ("blank-lines", "Steps, cut at blank lines"),
    ("connectors", "Steps, cut at connectors"),
)
_AFTER: Final = STAGE_COLOURS[0]
_OFFSET: Final = 0.19
"""Half the distance between the two boxes of a group."""


def objective_counts_figure(counts: ObjectiveCounts) -> Figure:
    """Figure 3a: samples that each objective took, over the steps."""
    figure = new_figure(9.2, 3.2)
    ax = figure.subplots()
    ax.plot(counts.steps, counts.compress, color="#c8382e", lw=1.8, label="compression")
    ax.plot(counts.steps, counts.accuracy, color=STAGE_COLOURS[0], lw=1.8, label="accuracy")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("step")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=ROUND))
    ax.set_title("Samples by objective", **TITLE)
    ax.legend(fontsize=9, frameon=False, labelcolor=INK)
    dress(ax, grid=True)
    return figure


def transition_figure(groups: TransitionGroups, before: str = "base", by: str = "after ") -> Figure:
    """Figure 4: tokens and reasoning steps of the four groups.

    Args:
        groups: of two evaluations.
        before: what the first is called.
        by: stands before the label of the second.
    """
    figure = new_figure(9.2, 9.6)
    axes = figure.subplots(len(_PANELS), 1, sharex=True)
    for ax, (measure, title) in zip(axes, _PANELS, strict=True):
        _draw_boxes(ax, groups, measure)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=ROUND))
        ax.set_title(title, **TITLE)
        dress(ax, grid=True)
    axes[-1].set_xticks(
        range(len(GROUPS)), [f"{_GROUP_NAMES[g]}\nn = {groups.counts[g]}" for g in GROUPS.values()]
    )
    patches = [Patch(color=BASE_COLOUR, alpha=0.75), Patch(color=_AFTER, alpha=0.75)]
    axes[0].legend(
        patches, [before, f"{by}{groups.label}"], fontsize=9, frameon=False, labelcolor=INK
    )
    return figure


def _draw_boxes(ax: Axes, groups: TransitionGroups, measure: Measure) -> None:
    for position, group in enumerate(GROUPS.values()):
        pair = groups.boxes[group][measure]
        _draw_box(ax, pair.before, position - _OFFSET, BASE_COLOUR)
        _draw_box(ax, pair.after, position + _OFFSET, _AFTER)


def _draw_box(ax: Axes, box: Box | None, position: float, colour: str) -> None:
    if box is None:
        return
    names = {
        "median": "med",
        "whisker_low": "whislo",
        "whisker_high": "whishi",
        "outliers": "fliers",
    }
    drawn = {names.get(k, k): v for k, v in asdict(box).items()}
    ax.bxp(
        [drawn],
        positions=[position],
        widths=0.32,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.75, "edgecolor": colour},
        medianprops={"color": INK, "linewidth": 1.6},
        whiskerprops={"color": colour},
        capprops={"color": colour},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": colour},
    )


def answer_share_figure(shares: Sequence[AnswerShare]) -> Figure:
    """Figure 5 as a number: where each model computes, and how often it does so again."""
    figure = new_figure(9.2, 3.3)
    left, right = figure.subplots(1, 2)
    names = [s.label for s in shares]
    _bars(left, names, [s.split.answer_share for s in shares], "Computation after </think>")
    _bars(right, names, [s.split.repeated_share for s in shares], "Computation made before")
    return figure


def _bars(ax: Axes, names: Sequence[str], shares: Sequence[float | None], title: str) -> None:
    colours = [BASE_COLOUR, *STAGE_COLOURS]
    known = [s or 0.0 for s in shares]
    bars = ax.bar(names, known, width=0.62, color=[colours[i % 5] for i in range(len(names))])
    texts = ["none" if s is None else f"{100 * s:.1f} %" for s in shares]
    ax.bar_label(bars, texts, padding=3, color=INK, fontsize=9.5, fontweight="bold")
    ax.set_ylim(0, 1.1 * max([*known, 0.05]))
    in_percent(ax)
    ax.set_title(title, **TITLE)
    dress(ax, grid=True)
