"""``report.html``: one file that needs no other, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import yaml
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from algorithms.segmentation import THINK_CLOSE, split_thinking
from services.analysis.sections import Section
from services.reports.collect import ReportData
from services.reports.connectors import split_connectors
from services.reports.findings import findings, headline
from services.reports.page import inline_svg, page
from services.reports.plots import summary_figure, training_figure, wall_time_figure


def render_html(data: ReportData, sections: Sequence[Section] = ()) -> str:
    """Return the page; it holds its plots as SVG and refers to nothing outside.

    Args:
        data: what the report says.
        sections: of the job's analysis, shown after the training curves.
    """
    return page(
        "report.html.j2",
        {"seconds": _duration, "gib": _gib, "moment": _moment, "response": _response},
        data=data,
        headline=headline(data),
        findings=findings(data),
        figures={name: inline_svg(figure) for name, figure in figures(data).items()},
        sections=[(section, inline_svg(section.figure)) for section in sections],
        spec=yaml.safe_dump(data.spec.model_dump(mode="json"), sort_keys=False),
    )


def figures(data: ReportData) -> dict[str, Figure]:
    """Return the figures a report can show, by file name without suffix; none without data."""
    drawn = {}
    if data.evaluations:
        drawn["summary"] = summary_figure(data)
    if data.steps:
        drawn["training"] = training_figure(data)
    if data.wall_seconds["total"] > 0:
        drawn["wall_time"] = wall_time_figure(data)
    return drawn


def _response(text: str) -> Markup:
    """Return a response with its connectors marked and its thinking set apart from the answer."""
    parts = split_thinking(text)
    if not parts.closed:
        return Markup('<span class="think">{}</span>').format(_marked(parts.thinking))
    return Markup(
        '<span class="think">{}</span><span class="divide">{}</span><span class="answer">{}</span>'
    ).format(_marked(parts.thinking), THINK_CLOSE, _marked(parts.answer))


def _marked(text: str) -> Markup:
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if connector else escape(piece)
        for piece, connector in split_connectors(text)
    )


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _moment(unix: float | None) -> str:
    if unix is None:
        return "not yet"
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M UTC")
