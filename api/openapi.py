"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know.

``python -m api.openapi docs`` writes the committed copy, ``docs/openapi.json``, and the table of
operations in ``docs/api.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.gate import READING
from api.openapi_examples import LINKS, REQUESTS, RESPONSES
from api.operation import HEAVY_FIELD, LOOKS_FIELD, MAP_FIELD, SCOPE_FIELD
from api.problems import MEDIA_TYPE
from api.schemas import ProblemBody
from services.control.idempotency import HEADER, KEEP_SECONDS
from services.control.principal import SCOPES

_PROBLEMS: Final = {
    400: ("BadRequest", "Not understood: malformed JSON, an unknown parameter, a forged cursor."),
    401: ("Unauthenticated", "A key is needed, and none or none that counts was sent."),
    403: ("Forbidden", "The key lacks the scope, or the tenant has as much as it may have."),
    404: ("NotFound", "There is no such thing, or it is another tenant's."),
    408: ("BodyTooSlow", "The body did not arrive in time."),
    409: ("Conflict", "Not possible in the state it is in, or the same request is being answered."),
    412: ("ChangedMeanwhile", "If-Match names another revision than the one there is."),
    413: ("BodyTooLarge", "The body is longer than what is taken."),
    414: ("UrlTooLong", "The URL is longer than what is taken."),
    415: ("UnsupportedMediaType", "The body is not called JSON."),
    416: ("RangeNotSatisfiable", "The range lies outside the file."),
    421: ("MisdirectedRequest", "Without keys, only local names of this machine are answered to."),
    422: ("Invalid", "Understood and wrong; errors name each field and the remedy."),
    429: ("TooManyRequests", "Come back after Retry-After seconds."),
    431: ("HeadersTooLarge", "The headers are larger than what is taken."),
    500: ("InternalError", "A fault; the log of the server has it under the request id."),
    503: ("Unavailable", "Shutting down, not ready, or the store does not answer."),
}
_EVERYWHERE: Final = (400, 401, 403, 408, 413, 414, 421, 422, 429, 431, 500, 503)
_BEGIN: Final = "<!-- operations: written by python -m api.openapi docs -->"
_END: Final = "<!-- end of the operations -->"
_WAITS: Final = frozenset({409, 429, 503})
"""Problems that may carry Retry-After."""
_DESCRIPTION: Final = """\
Trains a reasoning model to think shorter.

Errors are `application/problem+json` (RFC 9457) without exception. Times are Unix seconds. Where
keys are in use, send `Authorization: Bearer KEY`.
"""


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application with our routes."""
    found = get_openapi(
        title="Laconic", version="1", description=_DESCRIPTION, routes=app.routes, summary=None
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["Problem"].pop("$defs")
    components["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (laconic keys create). Scopes: " + ", ".join(SCOPES) + ".",
        }
    }
    components["headers"] = _headers()
    components["responses"] = {name: _problem(s) for s, (name, _) in _PROBLEMS.items()}
    for method, path, operation in _operations(found):
        _complete(method, path, operation)
    return found


def _operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Add to one operation what its route does not say."""
    name = operation["operationId"]
    # FastAPI leaves out what is None.
    scope, maps = operation.pop(SCOPE_FIELD, None), operation.pop(MAP_FIELD)
    operation.pop(HEAVY_FIELD)
    operation["security"] = [] if scope is None else [{"apiKey": [scope]}, {}]
    if scope is not None:
        operation["x-scope"] = scope
    parameters = operation.setdefault("parameters", [])
    parameters += [_map_parameter(m) for m in maps]
    only_looks = operation.pop(LOOKS_FIELD)
    changes = method not in READING and not only_looks
    if changes:
        parameters.append(_idempotency_key())
    takes_body = "requestBody" in operation
    statuses = {*_EVERYWHERE}
    statuses |= {404} if "{" in path or name in ("getCurves", "promoteModel") else set()
    statuses |= {409} if changes else set()
    statuses |= {415} if takes_body else set()
    statuses |= {412} if any(p["name"] == "if-match" for p in parameters) else set()
    responses = operation["responses"]
    statuses |= {416} & {int(s) for s in responses}
    for status in sorted(statuses):
        responses[str(status)] = {"$ref": f"#/components/responses/{_PROBLEMS[status][0]}"}
    operation["responses"] = dict(sorted(responses.items()))
    _answers(name, operation, changes)
    if takes_body and name in REQUESTS:
        operation["requestBody"]["content"]["application/json"]["examples"] = REQUESTS[name]
    if not parameters:
        del operation["parameters"]


def _answers(name: str, operation: dict[str, Any], changes: bool) -> None:
    """Headers, links and examples of the answers that are no problems."""
    for status, response in operation["responses"].items():
        if "$ref" in response:
            continue
        headers = response.setdefault("headers", {})
        headers["X-Request-ID"] = {"$ref": "#/components/headers/RequestId"}
        if status == "201":
            headers["Location"] = {"$ref": "#/components/headers/Location"}
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith(("/Job", "/Evaluation")) or status == "304":
            headers["ETag"] = {"$ref": "#/components/headers/ETag"}
        if changes:
            headers["Idempotent-Replayed"] = {"$ref": "#/components/headers/Replayed"}
        if (example := RESPONSES.get(name, {}).get(status)) is not None:
            response["content"]["application/json"]["example"] = example
        if status in ("201", "202") and name in LINKS:
            response["links"] = LINKS[name]


def _problem(status: int) -> dict[str, Any]:
    name, description = _PROBLEMS[status]
    response: dict[str, Any] = {
        "description": description,
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": _problem_example(status, name, description),
            }
        },
    }
    if status in _WAITS:
        response["headers"]["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return response


def _problem_example(status: int, name: str, description: str) -> dict[str, Any]:
    code = "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
    return {
        "type": f"urn:laconic:problem:{code}",
        "title": name,
        "status": status,
        "detail": description,
        "code": code,
        "errors": [],
        "request_id": "req-0123456789abcdef",
    }


def _headers() -> dict[str, Any]:
    def header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": description, "schema": schema}

    text = {"type": "string"}
    return {
        "RequestId": header("Names the request in the log of the server.", text),
        "Location": header("Where what was created is found.", text),
        "ETag": header("Give it as If-Match to change only what was seen.", text),
        "Replayed": header(
            "true: this is the answer that was given to the same request before.",
            {"type": "string", "enum": ["true"]},
        ),
        "RetryAfter": header("Seconds to wait.", {"type": "integer", "minimum": 1}),
    }


def _idempotency_key() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": (
            f"Makes the request act once: sent again within {KEEP_SECONDS / 3600:g} hours it gets "
            "the answer of the first time, with Idempotent-Replayed: true."
        ),
        "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
    }


def _map_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "style": "deepObject",
        "explode": True,
        "description": f"{name}[KEY]=VALUE: only those that have it.",
        "schema": {
            "type": "object",
            "maxProperties": 16,
            "propertyNames": {"pattern": "^[a-z0-9][a-z0-9._/-]{0,62}$"},
            "additionalProperties": {"type": "string"},
        },
    }


def text(found: dict[str, Any]) -> str:
    """A document as it is committed."""
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def reference(found: dict[str, Any]) -> str:
    """The table of operations, as Markdown."""
    lines = ["| | operation | scope | answers | |", "|---|---|---|---|---|"]
    for method, path, operation in _operations(found):
        answers = " ".join(s for s in operation["responses"] if s < "400")
        first = operation["description"].split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        scope = operation.get("x-scope")
        lines.append(
            f"| `{method} {path}` | `{operation['operationId']}` | "
            f"{f'`{scope}`' if scope else 'none'} | {answers} | {first} |"
        )
    return "\n".join(lines) + "\n"


def with_reference(page: str, found: dict[str, Any]) -> str:
    """A page of the documentation with the table between its marks brought up to date."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{reference(found)}\n{_END}{after}"


def main() -> None:
    """Write the committed copies into the folder that is named."""
    from api.app import routed

    folder = Path(sys.argv[1])
    found = document(routed())
    (folder / "openapi.json").write_text(text(found), encoding="utf-8")
    page = folder / "api.md"
    page.write_text(with_reference(page.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
