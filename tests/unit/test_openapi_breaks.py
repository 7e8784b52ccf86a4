"""What breaks a client, and what does not; and that nothing has since the last release."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from api.openapi_breaks import breaks

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs"

DOCUMENT = {
    "paths": {
        "/jobs": {
            "post": {
                "operationId": "create",
                "parameters": [
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100}},
                    {"in": "header", "name": "If-Match", "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}
                },
                "responses": {
                    "201": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Out"}}
                        }
                    },
                    "404": {},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "In": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 9},
                    "mode": {"enum": ["a", "b"]},
                    "more": {"anyOf": [{"$ref": "#/components/schemas/In"}, {"type": "null"}]},
                },
            },
            "Out": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "list": {"type": "array", "items": {"type": "integer"}},
                    "state": {"enum": ["x"]},
                },
            },
        }
    },
}
JOBS = ("paths", "/jobs", "post")
IN = ("components", "schemas", "In")
OUT = ("components", "schemas", "Out")
GONE = object()


def changed(path, value):
    found = copy.deepcopy(DOCUMENT)
    at = found
    for part in path[:-1]:
        at = at[part]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return found


def parameter(name, **more):
    return {"in": "query", "name": name, "schema": {"type": "integer", "maximum": 100}, **more}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (JOBS, GONE, "POST /jobs is gone"),
        (("paths", "/jobs"), GONE, "POST /jobs is gone"),
        ((*JOBS, "operationId"), "make", "another operation id"),
        ((*JOBS, "parameters"), [], "query parameter limit is gone"),
        ((*JOBS, "parameters"), [parameter("limit", required=True)], "limit is required now"),
        (
            (*JOBS, "parameters"),
            [parameter("limit"), parameter("who", required=True)],
            "who is required now",
        ),
        ((*JOBS, "parameters", 0, "schema", "maximum"), 50, "bounded more tightly: maximum 50"),
        ((*JOBS, "parameters", 0, "schema", "minimum"), 1, "bounded more tightly: minimum 1"),
        ((*JOBS, "parameters", 0, "schema", "type"), "string", "was integer and is string"),
        ((*JOBS, "requestBody", "required"), True, "a body is required now"),
        ((*JOBS, "requestBody", "content"), {"text/csv": {}}, "is not taken any more"),
        ((*JOBS, "responses", "201"), GONE, "the answer 201 is gone"),
        ((*JOBS, "responses", "201", "content"), {"text/csv": {}}, "is not application/json"),
        ((*IN, "required"), ["name", "mode"], "body, mode is required now"),
        ((*IN, "properties", "mode"), GONE, "body, mode is gone"),
        ((*IN, "properties", "mode", "enum"), ["a"], "does not take 'b' any more"),
        ((*IN, "properties", "name", "maxLength"), 8, "maxLength 8"),
        ((*IN, "properties", "name", "pattern"), "^a", "another pattern"),
        ((*IN, "properties", "name", "enum"), ["a"], "takes only some values now"),
        ((*IN, "properties", "more", "anyOf", 1), {"type": "string"}, "does not take null"),
        ((*OUT, "properties", "id"), GONE, "answer 201, id is gone"),
        ((*OUT, "required"), [], "answer 201, id may be missing now"),
        ((*OUT, "properties", "list", "items", "type"), "string", "items was integer"),
    ],
)
def test_what_breaks_a_client_is_named(path, value, said):
    found = breaks(DOCUMENT, changed(path, value))
    assert found
    assert any(said in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("paths", "/more"), {"get": {}}),
        ((*JOBS, "summary"), "other words"),
        ((*JOBS, "parameters", 0, "schema", "maximum"), 200),
        ((*JOBS, "parameters", 1), parameter("extra")),
        ((*JOBS, "responses", "404"), GONE),
        ((*JOBS, "responses", "202"), {}),
        ((*IN, "required"), []),
        ((*IN, "properties", "mode", "enum"), ["a", "b", "c"]),
        ((*IN, "properties", "new"), {"type": "string"}),
        ((*OUT, "properties", "new"), {"type": "string"}),
        ((*OUT, "properties", "state", "enum"), ["x", "y"]),
        ((*OUT, "required"), ["id", "list"]),
    ],
)
def test_what_only_adds_breaks_nobody(path, value):
    assert breaks(DOCUMENT, changed(path, value)) == []


def test_the_document_breaks_no_client_of_the_baseline():
    """CONTRIBUTING.md says how a break is accepted."""
    old, new = (
        json.loads((DOCS / name).read_text(encoding="utf-8"))
        for name in ("openapi-baseline.json", "openapi.json")
    )
    assert len(old["paths"]) > 40
    found = breaks(old, new)
    assert found == [], "this breaks clients; see CONTRIBUTING.md, The API:\n" + "\n".join(found)
