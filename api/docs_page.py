"""The OpenAPI document as a page to read: no script, nothing from other hosts."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment
from markupsafe import Markup

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Laconic API</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
summary { cursor: pointer; padding: .3rem 0; } code { font-size: .9em; }
details { border-bottom: 1px solid #8884; } details > div { padding: 0 1rem 1rem; }
table { border-collapse: collapse; } td { vertical-align: top; padding: .2rem 1rem .2rem 0; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
</style>
<h1>Laconic API</h1>
<p>{{ document.info.description }}</p>
<p>The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
<h2>Operations</h2>
{% for path, methods in document.paths.items() %}{% for method, o in methods.items() %}
<details id="{{ o.operationId }}"><summary><span class="method">{{ method | upper }}</span>
<code>{{ path }}</code></summary><div>
<p>{{ o.description }}</p>
<p>Operation <code>{{ o.operationId }}</code>, scope <code>{{ o['x-scope'] or 'none' }}</code>.</p>
{% if o.parameters %}<table>{% for p in o.parameters %}<tr><td><code>{{ p.name }}</code></td>
<td>{{ p['in'] }}</td><td>{{ p.description or p.schema.description or '' }}</td></tr>
{% endfor %}</table>{% endif %}
{% if o.requestBody %}<p>Body: {{ linked(o.requestBody.content['application/json'].schema) }}</p>
{% endif %}
<table>{% for status, r in o.responses.items() %}{% set found = resolved(r) %}<tr>
<td>{{ status }}</td><td>{{ found.description }}</td>
<td>{% for kind, c in (found.content or {}).items() %}{{ kind }} {{ linked(c.schema or {}) }}
{% endfor %}</td></tr>{% endfor %}</table>
</div></details>
{% endfor %}{% endfor %}
<h2>Schemas</h2>
{% for name, schema in document.components.schemas.items() %}
<details id="schema-{{ name }}"><summary><code>{{ name }}</code></summary><div>
<p>{{ schema.description or '' }}</p>
<table>{% for field, s in (schema.properties or {}).items() %}<tr><td><code>{{ field }}</code>
{%- if field in (schema.required or []) %} *{% endif %}</td>
<td>{{ linked(s) }}{% if 'default' in s %}, default <code>{{ s.default | tojson }}</code>{% endif %}
</td><td>{{ s.description or '' }}</td></tr>{% endfor %}</table>
</div></details>
{% endfor %}
</html>
"""


def docs_page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    environment = Environment(autoescape=True)
    link = environment.from_string(
        '{% for n in names %}<a href="#schema-{{ n }}">{{ n }}</a> {% endfor %}{{ kind }}'
    )

    def linked(schema: dict[str, Any]) -> Any:
        """The type of a schema, with links to the schemas it is made of."""
        kind = schema.get("type", "") if isinstance(schema.get("type"), str) else ""
        # Rendered with escaping; marked so that it is not escaped twice.
        return Markup(link.render(names=sorted(set(_names(schema))), kind=kind))

    def resolved(response: dict[str, Any]) -> dict[str, Any]:
        name = response.get("$ref", "").rpartition("/")[2]
        found: dict[str, Any] = document["components"]["responses"][name] if name else response
        return found

    return environment.from_string(_PAGE).render(
        document=document, linked=linked, resolved=resolved
    )


def _names(schema: Any) -> list[str]:
    """Names of the schemas that are referred to, however deep."""
    if isinstance(schema, dict):
        here = schema.get("$ref")
        names = [here.rpartition("/")[2]] if isinstance(here, str) else []
        return names + [n for value in schema.values() for n in _names(value)]
    if isinstance(schema, list):
        return [n for value in schema for n in _names(value)]
    return []
