"""The OpenAPI document: committed as it is, whole, and true."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from api.app import routed
from api.openapi import document, text, with_reference

DOCS = Path(__file__).parents[3] / "docs"
REMEDY = "run: .venv/bin/python -m api.openapi docs"


@pytest.fixture(scope="module")
def found():
    return document(routed())


def operations(found):
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_committed_copies_are_up_to_date(found):
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == text(found), REMEDY
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert page == with_reference(page, found), REMEDY
    for _, path, operation in operations(found):
        assert f" {path}` | `{operation['operationId']}`" in page


def test_the_server_serves_what_is_committed(plane):
    assert plane.http.get("/openapi.json").json() == json.loads(
        (DOCS / "openapi.json").read_text(encoding="utf-8")
    )


def test_every_reference_leads_somewhere(found):
    def refs(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from refs(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from refs(inner)

    for ref in set(refs(found)):
        place = found
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]


def test_operations_say_all_there_is_to_say(found):
    names = [o["operationId"] for _, _, o in operations(found)]
    assert len(names) == len(set(names)) > 40
    for method, path, operation in operations(found):
        where = f"{method} {path}"
        statuses = set(operation["responses"])
        assert any(s < "400" for s in statuses), where
        assert {"400", "401", "403", "422", "429", "500", "503"} <= statuses, where
        assert operation["description"], where
        assert ("{" in path) <= ("404" in statuses), where
        looks = operation["operationId"] in ("validateJob", "estimateJob", "verify")
        assert (method != "get" and not looks) <= ("409" in statuses), where
        assert ("requestBody" in operation) <= ("415" in statuses), where
        if "201" in statuses:
            assert "Location" in operation["responses"]["201"]["headers"], where


def schema_of(found, schema):
    """A schema that stands for itself: what it refers to goes along."""
    return {**schema, "components": found["components"]}


def test_examples_are_valid(found):
    checked = 0
    for _, _, operation in operations(found):
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (c for part in contents for c in part.get("content", {}).values()):
            examples = [e["value"] for e in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            for example in examples:
                jsonschema.Draft202012Validator(schema_of(found, content["schema"])).validate(
                    example
                )
                checked += 1
    assert checked >= 10
    for response in found["components"]["responses"].values():
        content = response["content"]["application/problem+json"]
        jsonschema.Draft202012Validator(schema_of(found, content["schema"])).validate(
            content["example"]
        )


def test_the_examples_of_requests_are_taken(plane, found):
    for method, path, operation in operations(found):
        if operation["operationId"] not in ("createJob", "validateJob", "estimateJob"):
            continue
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        for example in examples.values():
            answer = plane.http.request(method, path, json=example["value"])
            assert answer.status_code in (200, 201), answer.text


def test_answers_are_as_described(plane, found):
    job = plane.running(stage_index=0)
    hook = {"benchmark": "x", "name": "tiny-cpu", "role": "driver", "rank": "0", "step": "1"}
    for method, path, operation in operations(found):
        if method != "get" or operation["operationId"] in ("getReport", "listArtifacts"):
            continue
        target = path
        wanted = "eval-none" if path.startswith("/v1/evaluations") else job
        for name, value in {**hook, "job_id": wanted, "webhook_id": "wh-x", "path": "x"}.items():
            target = target.replace("{" + name + "}", value)
        answer = plane.http.get(target)
        described = operation["responses"][str(answer.status_code)]
        if "$ref" in described:
            described = found["components"]["responses"][described["$ref"].rsplit("/")[-1]]
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if not described.get("content"):
            assert not answer.content
            continue
        assert kind in described["content"], f"{target}: {kind}"
        if kind in ("application/json", "application/problem+json"):
            schema = described["content"][kind]["schema"]
            jsonschema.Draft202012Validator(schema_of(found, schema)).validate(answer.json())


def test_the_page_to_read_has_every_operation_and_runs_nothing(plane, found):
    answer = plane.http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "script" not in answer.headers["content-security-policy"]
    for _, path, operation in operations(found):
        assert f'id="{operation["operationId"]}"' in answer.text
        assert path in answer.text
    assert "length_clip" in answer.text
    for foreign in ("<script", "http://", "https://"):
        assert foreign not in answer.text
