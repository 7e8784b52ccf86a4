"""Hostile inputs: each is answered with the status it deserves, as a problem, and changes nothing.

One control plane serves them all; at the end it still works, and has the one job it had before.
"""

from __future__ import annotations

import json
import re
import socket
from urllib.parse import unquote

import pytest
from starlette.routing import Match

from api.limits import Limits
from api.operation import Operation
from tests.integration.api.conftest import client_of, make_token, serve

JSON = {"content-type": "application/json"}
DEEP = b'{"spec": ' + b"[" * 5000 + b"]" * 5000 + b"}"


class Ask:
    """One request; ``{job}``, ``{foreign}``, ``{cursor}`` are filled in when it is sent."""

    def __init__(self, method, path, status, *, code=None, **options):
        self.method, self.path, self.status = method, path, status
        self.code, self.options = code, options


def create(overrides, **more):
    return {"json": {"preset": "tiny-cpu", "overrides": overrides, **more}}


def evaluate(model, questions):
    return {"json": {"spec": {"model": {"path": model}, "benchmarks": [{"path": questions}]}}}


def stage(**fields):
    return create({"stages": {"compression": fields}})


def hook(url):
    return {"json": {"url": url, "topics": ["job.failed"]}}


HOSTILE = {
    # -- paths that lead elsewhere
    "traversal in a job id": Ask("GET", "/v1/jobs/..%2f..%2fetc%2fpasswd", 404),
    "dots in a job id": Ask("GET", "/v1/jobs/%2e%2e", 404),
    "NUL in a job id": Ask("GET", "/v1/jobs/job-%00", 404),
    "bad UTF-8 in a job id": Ask("GET", "/v1/jobs/%ff%fe", 404),
    "SQL in a job id": Ask("GET", "/v1/jobs/x'%20OR%20'1'='1", 404),
    "a job id of 8,000 characters": Ask("GET", "/v1/jobs/" + "a" * 8000, 404),
    "traversal in a checkpoint file": Ask(
        "GET", "/v1/jobs/{job}/checkpoints/1/files/..%2f..%2fdriver.log", 404
    ),
    "an absolute checkpoint file": Ask(
        "GET", "/v1/jobs/{job}/checkpoints/1/files/%2fetc%2fpasswd", 404
    ),
    "a checkpoint step that is none": Ask("GET", "/v1/jobs/{job}/checkpoints/-1", 422),
    "a checkpoint step of 40 digits": Ask("GET", "/v1/jobs/{job}/checkpoints/" + "9" * 40, 422),
    "traversal in an artifact": Ask("GET", "/v1/jobs/{job}/artifacts/..%2f..%2fjobs.db", 404),
    "traversal in a log role": Ask("GET", "/v1/jobs/{job}/logs/..%2fdriver/0", 404),
    "a log role with a NUL": Ask("GET", "/v1/jobs/{job}/logs/a%00/0", 422),
    "traversal in a model name": Ask("GET", "/v1/models/..%2f..%2fetc", 404),
    "a model name with dots": Ask("GET", "/v1/models/..%00", 422),
    "a preset that is a path": Ask("GET", "/v1/presets/..%2f..%2fetc", 404),
    # -- specifications that reach out
    "model outside the roots": Ask("POST", "/v1/jobs", 422, **create({"model": {"path": "/etc"}})),
    "data outside the roots": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "/etc/passwd"}})
    ),
    "data by traversal": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "{root}/../../etc/passwd"}})
    ),
    "data by a URL": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "http://169.254.169.254/"}})
    ),
    "a file URL": Ask("POST", "/v1/jobs", 422, **create({"data": {"path": "file:///etc/passwd"}})),
    "a path with a NUL": Ask("POST", "/v1/jobs", 422, **create({"data": {"path": "/a\0b"}})),
    "a path of another user": Ask("POST", "/v1/jobs", 422, **create({"data": {"path": "~root/x"}})),
    "a path of a user who is not there": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "~nosuchuser/x"}})
    ),
    "a model of a user who is not there": Ask(
        "POST", "/v1/jobs", 422, **create({"model": {"path": "~nosuchuser/x"}})
    ),
    "questions of a user who is not there": Ask(
        "POST", "/v1/jobs:validate", 422, **create({"evaluation": {"path": "~nosuchuser/x"}})
    ),
    "an estimate of a user who is not there": Ask(
        "POST", "/v1/jobs:estimate", 422, **create({"data": {"path": "~nosuchuser/x"}})
    ),
    "an evaluation of a user who is not there": Ask(
        "POST", "/v1/evaluations", 422, **evaluate("~nosuchuser/x", "builtin:tiny-heldout")
    ),
    "an evaluation on a user who is not there": Ask(
        "POST", "/v1/evaluations", 422, **evaluate("builtin:tiny-reasoner", "~nosuchuser/x")
    ),
    "the control plane's own database": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "{home}/control.db"}})
    ),
    "another tenant's model": Ask(
        "POST", "/v1/jobs", 422, **create({"model": {"path": "{home}/promoted/b/short/model"}})
    ),
    "a model of another tenant's job": Ask(
        "POST", "/v1/evaluations", 422, **evaluate("job:{foreign}", "builtin:tiny-heldout")
    ),
    "a path of 5,000 characters": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "{root}/" + "a" * 5000}})
    ),
    "a path of 5,000 folders": Ask(
        "POST", "/v1/jobs", 422, **create({"model": {"path": "{root}" + "/a" * 5000}})
    ),
    "an unknown builtin": Ask(
        "POST", "/v1/jobs", 422, **create({"data": {"path": "builtin:../../x"}})
    ),
    "a device": Ask("POST", "/v1/jobs", 422, **create({"data": {"path": "/dev/zero"}})),
    "a name with markup": Ask("POST", "/v1/jobs", 422, **create({"name": "<script>"})),
    "a name with a shell in it": Ask("POST", "/v1/jobs", 422, **create({"name": "$(reboot)"})),
    "a name with a line break": Ask("POST", "/v1/jobs", 422, **create({"name": "a\nb"})),
    "a preset with traversal": Ask("POST", "/v1/jobs", 422, json={"preset": "../../etc/passwd"}),
    "code in an override": Ask(
        "POST", "/v1/jobs", 422, **create({"verifier": {"code": "import os"}})
    ),
    "trust_remote_code": Ask(
        "POST", "/v1/jobs", 422, **create({"model": {"trust_remote_code": True}})
    ),
    # -- numbers
    "a billion workers": Ask("POST", "/v1/jobs", 422, **create({"generator": {"workers": 10**9}})),
    "a negative seed": Ask("POST", "/v1/jobs", 422, **create({"seed": -1})),
    "a seed beyond 64 bits": Ask("POST", "/v1/jobs", 400, **create({"seed": 2**70})),
    "a number of 5,000 digits": Ask(
        "POST", "/v1/jobs", 400, content=b'{"preset": ' + b"9" * 5000 + b"}", headers=JSON
    ),
    "NaN": Ask("POST", "/v1/jobs", 400, content=b'{"preset": NaN}', headers=JSON),
    "an infinite learning rate": Ask(
        "POST",
        "/v1/jobs",
        422,
        content=b'{"preset":"tiny-cpu","overrides":{"stages":{"compression":'
        b'{"learning_rate":1e999}}}}',
        headers=JSON,
    ),
    "a true where a number goes": Ask("POST", "/v1/jobs", 422, **stage(steps="all")),
    "a thousand stages": Ask("POST", "/v1/jobs", 422, **create({"stages": [{"name": "a"}] * 1000})),
    # -- bodies
    "no JSON": Ask("POST", "/v1/jobs", 400, content=b"{", headers=JSON),
    "deep JSON": Ask("POST", "/v1/jobs", 400, content=DEEP, headers=JSON),
    "JSON with half a surrogate": Ask(
        "POST", "/v1/jobs", 400, content=b'{"preset": "\\ud800"}', headers=JSON
    ),
    "bytes that are no UTF-8": Ask(
        "POST", "/v1/jobs", 400, content=b'{"preset": "\xff"}', headers=JSON
    ),
    "a body of 5 MiB": Ask("POST", "/v1/jobs", 413, content=b" " * 5 * 2**20, headers=JSON),
    "a body of 5 MiB without a length": Ask(
        "POST", "/v1/jobs", 413, content=(b" " * 2**16 for _ in range(80)), headers=JSON
    ),
    "a body for a path that is not there": Ask(
        "POST", "/nowhere", 413, content=b" " * 5 * 2**20, headers=JSON
    ),
    "YAML": Ask(
        "POST",
        "/v1/jobs",
        415,
        content=b"!!python/object/apply:os.system [id]",
        headers={"content-type": "application/yaml"},
    ),
    "a form": Ask("POST", "/v1/jobs", 415, data={"preset": "tiny-cpu"}),
    "JSON called text": Ask(
        "POST",
        "/v1/jobs",
        415,
        content=b'{"preset": "tiny-cpu"}',
        headers={"content-type": "text/plain"},
    ),
    "a pickle": Ask(
        "POST",
        "/v1/jobs",
        415,
        content=b"\x80\x04\x95.",
        headers={"content-type": "application/x-pickle"},
    ),
    "a list": Ask("POST", "/v1/jobs", 422, json=[1]),
    "a string": Ask("POST", "/v1/jobs", 422, json="tiny-cpu"),
    "null": Ask("POST", "/v1/jobs", 422, content=b"null", headers=JSON),
    "__proto__": Ask("POST", "/v1/jobs", 422, json={"__proto__": {}, "preset": "tiny-cpu"}),
    # -- parameters
    "a forged cursor": Ask("GET", "/v1/jobs?after=am9iLXg", 400, code="bad_cursor"),
    "a cursor with a bit turned": Ask("GET", "/v1/jobs?after=A{cursor}", 400, code="bad_cursor"),
    "a cursor of 400 characters": Ask("GET", "/v1/jobs?after=" + "A" * 400, 400),
    "a cursor of 4,000 characters": Ask("GET", "/v1/jobs?after=" + "A" * 4000, 422),
    "a cursor of another tenant": Ask("GET", "/v1/jobs?after={foreign_cursor}", 400),
    "SQL in a filter": Ask("GET", "/v1/jobs?state=queued';DROP TABLE jobs", 422),
    "a limit of a billion": Ask("GET", "/v1/jobs?limit=1000000000", 422),
    "a negative page": Ask("GET", "/v1/jobs/{job}/events?after=-1", 422),
    "a page beyond 64 bits": Ask("GET", "/v1/jobs/{job}/events?after=99999999999999999999", 422),
    "a time that is none": Ask("GET", "/v1/jobs?created_after=NaN", 422),
    "an unknown parameter": Ask("GET", "/v1/jobs?admin=1", 400, code="unknown_parameter"),
    "Last-Event-ID of 400 digits": Ask(
        "GET",
        "/v1/jobs/{job}/events",
        400,
        headers={"accept": "text/event-stream", "last-event-id": "9" * 400},
    ),
    "Last-Event-ID with a line break in it": Ask(
        "GET",
        "/v1/jobs/{job}/events",
        400,
        headers={"accept": "text/event-stream", "last-event-id": "1%0a2"},
    ),
    "an If-Match that is none": Ask(
        "POST", "/v1/jobs/{job}/cancel", 400, headers={"if-match": "x" * 5000}
    ),
    "a stale If-Match": Ask("POST", "/v1/jobs/{job}/cancel", 412, headers={"if-match": '"0-0"'}),
    "a range that is none": Ask(
        "GET", "/v1/models", 400, headers={"range": "bytes=0-"}, params={"x": "y"}
    ),
    "an idempotency key with a space": Ask(
        "POST", "/v1/jobs", 400, headers={"idempotency-key": "a b"}, **create({})
    ),
    "an idempotency key of another request": Ask(
        "POST",
        "/v1/jobs",
        422,
        code="idempotency_mismatch",
        headers={"idempotency-key": "used"},
        **create({"seed": 5}),
    ),
    # -- methods
    "DELETE of all jobs": Ask("DELETE", "/v1/jobs", 405),
    "TRACE": Ask("TRACE", "/v1/jobs", 405),
    "a method nobody knows": Ask("BREW", "/v1/jobs", 405),
    "a path that is not there": Ask("GET", "/.git/config", 404),
    "a slash too many": Ask("GET", "/v1/jobs/", 404),
    "a URL of 9,000 characters": Ask("GET", "/v1/jobs?name=" + "a" * 9000, 414),
    "a path of 9,000 characters": Ask("GET", "/v1/jobs/" + "a" * 9000, 414),
    # -- other people's things
    "another tenant's job": Ask("GET", "/v1/jobs/{foreign}", 404, code="job_not_found"),
    "cancel another tenant's job": Ask("POST", "/v1/jobs/{foreign}/cancel", 404),
    "another tenant's events": Ask("GET", "/v1/jobs/{foreign}/events", 404),
    "another tenant's figures": Ask("GET", "/v1/metrics?job={foreign}&field=x", 404),
    "promote another tenant's checkpoint": Ask(
        "PUT", "/v1/models/mine", 404, json={"job": "{foreign}", "step": 1}
    ),
    "the audit log": Ask("GET", "/v1/audit", 403),
    "everybody's metrics": Ask("GET", "/metrics", 403),
    "a forged key": Ask("GET", "/v1/jobs", 401, headers={"authorization": "Bearer lk_x"}),
    "a key in the query": Ask("GET", "/v1/jobs?api_key={token}", 400),
    "a page of another site": Ask(
        "POST", "/v1/jobs/{job}/cancel", 403, headers={"origin": "https://evil.example"}
    ),
    # -- webhooks that point inward
    "a webhook to this machine": Ask("POST", "/v1/webhooks", 422, **hook("https://127.0.0.1/")),
    "the same in decimal": Ask("POST", "/v1/webhooks", 422, **hook("https://2130706433/")),
    "the same in hexadecimal": Ask("POST", "/v1/webhooks", 422, **hook("https://0x7f.1/")),
    "the same in octal": Ask("POST", "/v1/webhooks", 422, **hook("https://0177.0.0.1/")),
    "the same in IPv6": Ask("POST", "/v1/webhooks", 422, **hook("https://[::1]/")),
    "the same wrapped in IPv6": Ask(
        "POST", "/v1/webhooks", 422, **hook("https://[::ffff:127.0.0.1]/")
    ),
    "the metadata service": Ask(
        "POST", "/v1/webhooks", 422, **hook("https://169.254.169.254/latest/meta-data")
    ),
    "a private network": Ask("POST", "/v1/webhooks", 422, **hook("https://10.0.0.1/")),
    "plain http": Ask("POST", "/v1/webhooks", 422, **hook("http://93.184.216.34/")),
    "another scheme": Ask("POST", "/v1/webhooks", 422, **hook("gopher://93.184.216.34/")),
    "a user in the URL": Ask("POST", "/v1/webhooks", 422, **hook("https://a:b@93.184.216.34/")),
    "a header in the URL": Ask("POST", "/v1/webhooks", 422, **hook("https://x/\r\nX: y")),
    "a name that resolves to nothing": Ask(
        "POST", "/v1/webhooks", 422, **hook("https://nothing.invalid/")
    ),
    # -- labels
    "a label with markup": Ask("POST", "/v1/jobs", 422, **create({}, labels={"a": "<b>"})),
    "a formula as a label": Ask("POST", "/v1/jobs", 422, **create({}, labels={"a": "=cmd()"})),
    "a thousand labels": Ask(
        "POST", "/v1/jobs", 422, **create({}, labels={f"k{n}": "" for n in range(1000)})
    ),
}


@pytest.fixture(scope="module")
def stage_set(tmp_path_factory):
    """A control plane with two tenants, one job of each; what the requests are filled with."""
    folder = tmp_path_factory.mktemp("hostile")
    home, root = folder / "home", folder / "root"
    root.mkdir()
    scopes = (
        *("jobs:read", "jobs:write", "jobs:cancel"),
        *("checkpoints:read", "checkpoints:write", "webhooks:write"),
    )
    tokens = [make_token(home, *scopes, tenant=t) for t in ("a", "b")]
    body = {"preset": "tiny-cpu"}
    limits = Limits(max_header_seconds=1.0)
    with serve(home, body, roots=(root,), limits=limits, max_running_jobs=1) as plane:
        plane.launcher.refuses = "no cluster"
        mine, theirs = (client_of(plane, t) for t in tokens)
        job = plane.create(mine)
        foreign = plane.create(theirs)
        plane.create(theirs)
        cursors = [
            c.get("/v1/jobs", params={"limit": 1}).json()["next_cursor"] for c in (mine, theirs)
        ]
        values = {
            "job": job,
            "foreign": foreign,
            "cursor": str(cursors[0]),
            "foreign_cursor": str(cursors[1]),
            "token": tokens[0],
            "root": str(root),
            "home": str(home),
        }
        used = mine.post("/v1/jobs", json=body, headers={"Idempotency-Key": "used"})
        assert used.status_code == 201
        yield plane, mine, values, [used.json()["id"], job]


def filled(value, values):
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, dict):
        return {filled(k, values): filled(v, values) for k, v in value.items()}
    return [filled(v, values) for v in value] if isinstance(value, list) else value


def test_there_are_at_least_sixty():
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_input_gets_the_status_it_deserves_and_changes_nothing(stage_set, name):
    plane, mine, values, jobs = stage_set
    ask = HOSTILE[name]
    path, options = filled(ask.path, values), filled(ask.options, values)
    answer = mine.request(ask.method, path, **options)
    assert answer.status_code == ask.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == ask.status
    assert ask.code in (None, found["code"])
    assert str(ask.status) in _documented(plane, ask, path)
    for telling in ("Traceback", 'File "', "site-packages", "sqlite3.", values["token"]):
        assert telling not in answer.text
    assert [j["id"] for j in mine.get("/v1/jobs").json()["data"]] == jobs
    assert mine.get(f"/v1/jobs/{jobs[1]}").json()["state"] == "queued"


def _documented(plane, ask, path):
    """Statuses of the operation in the OpenAPI document; all where there is no such operation."""
    for route in plane.app.routes:
        match, _ = route.matches(
            {"type": "http", "path": unquote(path.partition("?")[0]), "method": ask.method}
        )
        if match == Match.FULL and isinstance(route, Operation):
            described = plane.app.openapi()["paths"][route.path_format]
            return described[ask.method.lower()]["responses"]
    return {str(ask.status)}


RAW = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /v1/jobs\r\n\r\n", 400),
    "100 KiB of headers": (
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        431,
    ),
    "a header with a NUL": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400),
    "a space before the colon": (b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    "two lengths": (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\nx",
        400,
    ),
    "a negative length": (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        400,
    ),
    "an unknown transfer encoding": (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        400,
    ),
    "a length of 3 GiB where no key is needed": (
        b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3221225472\r\n\r\n",
        405,
    ),
    "a length of 3 GiB without a key": (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3221225472\r\n\r\n",
        401,
    ),
    "another server's name in the path": (
        b"GET //evil.example/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        401,
    ),
    "a whole URL for a path": (
        b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        401,
    ),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_hardly_http_is_answered_with_a_problem(stage_set, name):
    plane, *_ = stage_set
    request, status = RAW[name]
    answer = _talk(plane, request)
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == str(status).encode(), answer
    assert b"application/problem+json" in head
    assert json.loads(content)["status"] == status


def test_a_connection_that_says_nothing_or_half_of_it_is_closed(stage_set):
    plane, *_ = stage_set
    for beginning in (b"", b"GET /livez HTTP/1.1\r\nHost: localho"):
        assert _talk(plane, beginning) == b""


def _talk(plane, request):
    host, port = plane.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(request)
        connection.settimeout(5)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            head, _, content = answer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length and len(content) >= int(length[1]):
                break  # It may keep the connection for another request.
        return answer
