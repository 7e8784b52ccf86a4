"""``report.html``: one file that needs no other, readable in light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import jinja2
import matplotlib
import yaml
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from algorithms.segmentation import THINK_CLOSE, split_thinking
from services.analysis.sections import Section
from services.reports.collect import ReportData
from services.reports.connectors import split_connectors
from services.reports.figure_style import INK
from services.reports.findings import findings, headline, percent
from services.reports.plots import summary_figure, training_figure, wall_time_figure


def render_html(data: ReportData, sections: Sequence[Section] = ()) -> str:
    """Return the page; it holds its plots as SVG and refers to nothing outside.

    Args:
        data: what the report says.
        sections: of the job's analysis, shown after the training curves.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("services.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, seconds=_duration, gib=_gib, moment=_moment, response=_response
    )
    return environment.get_template("report.html.j2").render(
        data=data,
        headline=headline(data),
        findings=findings(data),
        figures={name: _inline_svg(figure) for name, figure in figures(data).items()},
        sections=[(section, _inline_svg(section.figure)) for section in sections],
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


def _inline_svg(figure: Figure) -> Markup:
    """Return the figure as an SVG element in the page's own font and text colour."""
    buffer = io.StringIO()
    # A fixed salt makes the same data give the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "laconic"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*pt"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*pt"', r"\1", svg, count=1)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    # The SVG is ours, not a person's text: it may stand unescaped.
    return Markup(svg.replace(INK, "currentColor"))


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
