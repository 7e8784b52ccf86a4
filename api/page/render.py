"""The pages as HTML. They hold nothing of a job: the scripts read the API, as any client does."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

import jinja2
from fastapi.responses import HTMLResponse

from api.page.headers import PAGE


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("api.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = version("laconic")
    return environment


def render(template: str, *, status: int = 200, **content: str) -> HTMLResponse:
    """A page made from a template of this package; a name in it that is missing is an error."""
    text = _environment().get_template(template).render(**content)
    return HTMLResponse(text, status_code=status, headers=PAGE)
