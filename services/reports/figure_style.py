"""How every plot of a report looks: palette, figures, axes; no display, no global state."""

from __future__ import annotations

from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

INK: Final = "#1b1f24"
"""Colour of text and axes; the page replaces it by the reader's text colour."""
BASE_COLOUR: Final = "#8a94a3"
STAGE_COLOURS: Final = ("#2f6fdb", "#e07b16", "#0f9d74", "#b0449f")
QUIET: Final = "#8a94a3"
"""Colour of lines that carry no data."""
ROUND: Final = (1, 2, 5, 10)
"""Tick distances that stay whole numbers when they are shown without decimals."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, with room around and between its parts."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.03, hspace=0.03)
    return Figure(figsize=(width, height), layout=layout)


TITLE: Final[dict[str, Any]] = {
    "loc": "left",
    "fontsize": 10.5,
    "fontweight": "bold",
    "color": INK,
    "pad": 10,
}


def dress(ax: Axes, *, grid: bool = False) -> None:
    """Take away what carries no information."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(QUIET)
    ax.tick_params(colors=INK, labelsize=9, color=QUIET, length=3)
    ax.xaxis.label.set_color(INK)
    if grid:
        ax.grid(axis="y", color=QUIET, alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)


def in_percent(ax: Axes) -> None:
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=ROUND))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
