"""Pages that need no other file: one style, plots inside, readable in light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from services.reports.figure_style import INK
from services.reports.findings import percent


def page(template: str, filters: Mapping[str, Callable[..., Any]], **content: Any) -> str:
    """Return a page made from a template of this package.

    Args:
        template: its file name.
        filters: for the template, besides ``percent``.
        content: names in the template; one that is missing is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("services.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"percent": percent, **filters})
    return environment.get_template(template).render(**content)


def inline_svg(figure: Figure) -> Markup:
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
