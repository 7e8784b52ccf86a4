"""Plots of the sampled tokens: figures 3d and 3e, and connectors over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ticker import MaxNLocator

from services.analysis.token_figures import FORMS, StepTokens, TableRow, TokenFigures
from services.reports.figure_style import (
    BASE_COLOUR,
    INK,
    QUIET,
    ROUND,
    STAGE_COLOURS,
    TITLE,
    dress,
    new_figure,
)

_FORM_LABELS: Final = {
    "drawn": "‖e_y − p‖, drawn token",
    "expected": "√(1 − Σp²), expected",
    "lm_head": "‖e_y − p‖·‖h‖, output projection",
}
_CONNECTOR: Final = STAGE_COLOURS[1]
_OTHER: Final = BASE_COLOUR
_CLOUD: Final = (1100, 520)
"""Pixels of a word cloud."""


def correlation_figure(figures: TokenFigures) -> Figure:
    """Figure 3d: per step, entropy against each form of gradient magnitude."""
    figure = new_figure(9.2, 6.4)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    titles = (
        ("pearson", "Pearson, every token"),
        ("spearman", "Spearman, every token"),
        ("update_pearson", "Pearson, times |A|, trained tokens"),
        ("update_spearman", "Spearman, times |A|, trained tokens"),
    )
    for ax, (field, title) in zip(panels.flat, titles, strict=True):
        for form, colour in zip(FORMS, STAGE_COLOURS, strict=False):
            values = [_or_nan(getattr(s.forms[form], field)) for s in figures.steps]
            _line(ax, figures.steps, values, color=colour, label=_FORM_LABELS[form])
        ax.axhline(0, color=QUIET, lw=0.8)
        ax.set_title(title, **TITLE)
        ax.set_ylim(-1.05, 1.05)
        dress(ax, grid=True)
    for ax in panels[1]:
        ax.set_xlabel("step")
    panels[0][0].legend(fontsize=8, frameon=False, loc="lower left", labelcolor=INK)
    return figure


def connector_rate_figure(figures: TokenFigures) -> Figure:
    """Connectors per 1,000 sampled tokens, over training."""
    figure = new_figure(9.2, 2.9)
    ax = figure.subplots()
    values = [_or_nan(s.connectors_per_1000) for s in figures.steps]
    _line(ax, figures.steps, values, color=_CONNECTOR)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("step")
    ax.set_title("Connectors per 1,000 sampled tokens", **TITLE)
    dress(ax, grid=True)
    return figure


def token_cloud_figure(table: dict[str, list[TableRow]]) -> Figure:
    """Figure 3e: the high-entropy tokens of each stage, size by mean entropy, connectors marked."""
    shown = {stage: rows for stage, rows in table.items() if rows}
    figure = new_figure(9.2, 0.4 + 4.4 * len(shown))
    for ax, (stage, rows) in zip(
        figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown.items(), strict=True
    ):
        ax.imshow(_cloud(rows), interpolation="bilinear")
        ax.set_title(f"High-entropy tokens of {stage} (orange: connectors)", **TITLE)
        ax.axis("off")
    return figure


def _cloud(rows: Sequence[TableRow]) -> Any:
    """The image of one cloud; the same rows give the same image."""
    from wordcloud import WordCloud

    sizes: dict[str, float] = {}
    for row in rows:
        word = visible(row.text)
        sizes[word] = max(sizes.get(word, 0.0), row.mean_entropy)
    connectors = {visible(row.text) for row in rows if row.connector}
    cloud = WordCloud(
        width=_CLOUD[0],
        height=_CLOUD[1],
        mode="RGBA",
        background_color=None,
        prefer_horizontal=1.0,
        relative_scaling=1.0,
        max_font_size=110,
        random_state=0,
        font_path=findfont("DejaVu Sans"),
        color_func=lambda word, **_: _CONNECTOR if word in connectors else _OTHER,
    )
    return cloud.generate_from_frequencies(sizes).to_array()


def visible(text: str) -> str:
    """A token as one can read it: space around words dropped, bare space shown by signs."""
    return text.strip() or text.replace("\n", "↵").replace("\t", "→").replace(" ", "␣") or "∅"


def _line(ax: Axes, steps: Sequence[StepTokens], values: Sequence[float], **style: Any) -> None:
    ax.plot([s.step for s in steps], values, lw=1.8, marker="o", ms=3, **style)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=ROUND))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
