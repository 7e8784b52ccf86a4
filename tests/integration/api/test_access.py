"""Who may do what: keys, scopes, tenants, rates, quotas."""

from __future__ import annotations

import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from fastapi.routing import APIRoute

import api.usage
from api.limits import Limits
from api.operation import Operation
from services.control.quotas import Quota
from services.control.stores import open_control
from services.home import Home
from services.presets.registry import resolve
from tests.integration.api.conftest import client_of, make_token, problem, serve


@pytest.fixture
def two(tmp_path, body):
    """A control plane with two tenants, and a client of each."""
    home = tmp_path / "home"
    tokens = [
        make_token(home, "jobs:read", "jobs:write", "jobs:cancel", tenant=t) for t in ("a", "b")
    ]
    tokens.append(make_token(home, "admin", tenant="ops"))
    with serve(home, body) as plane:
        a, b, admin = (client_of(plane, t) for t in tokens)
        yield plane, a, b, admin


def test_without_keys_everybody_here_is_let_in(plane):
    assert plane.http.get("/v1/whoami").json()["actor"] == "local"


def test_with_keys_nobody_is_let_in_without_one(two):
    plane, a, _, _ = two
    answer = plane.http.get("/v1/jobs")
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for header in ("Bearer x", "Basic dXNlcjpwYXNz", "", "Bearer", "lk_a_b"):
        answer = plane.http.get("/v1/jobs", headers={"Authorization": header})
        problem(answer, 401, "unauthenticated")
    assert a.get("/v1/jobs").status_code == 200
    for path in ("/livez", "/openapi.json"):
        assert plane.http.get(path).status_code == 200
    problem(plane.http.get("/metrics"), 401, "unauthenticated")
    # What is not there is not told apart from what is, either.
    problem(plane.http.get("/v1/nothing"), 401, "unauthenticated")


def test_a_key_does_what_its_scopes_say(tmp_path, body):
    home = tmp_path / "home"
    reader = make_token(home, "jobs:read")
    with serve(home, body) as plane:
        http = client_of(plane, reader)
        assert http.get("/v1/jobs").status_code == 200
        found = problem(http.post("/v1/jobs", json=body), 403, "missing_scope")
        assert found["scope"] == "jobs:write"
        problem(http.post("/v1/jobs/job-x/cancel"), 403, "missing_scope")
        problem(http.get("/v1/audit"), 403, "missing_scope")
        problem(http.get("/metrics"), 403, "missing_scope")


def test_revoked_and_expired_keys_stop_to_count_within_a_second(tmp_path, body):
    home = tmp_path / "home"
    token, short = make_token(home, "jobs:read"), make_token(home, "jobs:read", lifetime=600)
    keys = open_control(Home.resolve(home)).keys
    with serve(home, body) as plane:
        http, brief = client_of(plane, token), client_of(plane, short)
        assert http.get("/v1/jobs").status_code == brief.get("/v1/jobs").status_code == 200
        key, expiring = sorted(keys.all(), key=lambda k: k.expires_at or 0)
        assert key.last_used_at is not None
        keys.replace(replace(key, revoked_at=time.time()))
        keys.replace(replace(expiring, expires_at=time.time()))
        plane.wait_for("the end of the key", lambda: http.get("/v1/jobs").status_code == 401)
        plane.wait_for("the end of the other", lambda: brief.get("/v1/jobs").status_code == 401)


def test_every_operation_says_who_may_call_it(plane):
    routes = [r for r in plane.app.routes if isinstance(r, APIRoute)]
    assert len(routes) > 30
    assert [r.path for r in routes if not isinstance(r, Operation)] == []
    free = {r.path for r in routes if r.scope is None}
    assert free == {"/livez", "/readyz", "/", "/jobs/{job_id}", "/assets/{name:path}"}


def test_tenants_do_not_see_each_other(two):
    plane, a, b, admin = two
    job = plane.create(a)
    assert a.get(f"/v1/jobs/{job}").json()["tenant"] == "a"
    missing = b.get("/v1/jobs/job-0123456789").json()["detail"]
    seen = 0
    for route in plane.app.routes:
        if not isinstance(route, Operation) or "{job_id}" not in route.path or not route.scope:
            continue
        (method,) = route.methods
        path = route.path.replace("{job_id}", job)
        for name, value in (("step", "1"), ("path:path", "x"), ("role", "driver"), ("rank", "0")):
            path = path.replace("{" + name + "}", value)
        content = {"to": "next"} if route.body_field else None
        answer = b.request(method, path, json=content)
        if route.scope in ("jobs:read", "jobs:write", "jobs:cancel"):
            seen += 1
            found = problem(answer, 404, "job_not_found")
            assert found["detail"] == missing.replace("job-0123456789", job)
        else:
            problem(answer, 403, "missing_scope")
    assert seen >= 10
    assert b.get("/v1/jobs").json()["data"] == []
    answer = b.get("/v1/metrics", params={"job": job, "field": "entropy"})
    problem(answer, 404, "job_not_found")
    assert [j["id"] for j in admin.get("/v1/jobs").json()["data"]] == [job]
    assert admin.post(f"/v1/jobs/{job}/cancel").status_code in (200, 202)


def test_a_cursor_of_one_tenant_is_none_of_another(two):
    plane, a, b, _ = two
    for _ in range(3):
        plane.create(a)
    cursor = a.get("/v1/jobs", params={"limit": 1}).json()["next_cursor"]
    assert a.get("/v1/jobs", params={"after": cursor}).status_code == 200
    problem(b.get("/v1/jobs", params={"after": cursor}), 400, "bad_cursor")


def test_the_same_idempotency_key_of_two_tenants_is_two(two):
    plane, a, b, _ = two
    key = {"Idempotency-Key": "same"}
    first = a.post("/v1/jobs", json=plane.body, headers=key).json()["id"]
    second = b.post("/v1/jobs", json=plane.body, headers=key)
    assert second.status_code == 201
    assert second.json()["id"] != first


def test_too_many_requests_are_told_when_to_come_back(tmp_path, body):
    limits = Limits(rate_per_second=2, rate_burst=3)
    with serve(tmp_path / "home", body, limits=limits) as plane:
        answers = [plane.http.get("/v1/presets") for _ in range(8)]
        refused = [a for a in answers if a.status_code == 429]
        assert len(refused) >= 3
        problem(refused[0], 429, "too_many_requests")
        wait = int(refused[-1].headers["retry-after"])
        assert 1 <= wait <= 2
        time.sleep(wait)
        assert plane.http.get("/v1/presets").status_code == 200


def test_one_key_cannot_use_up_the_rate_of_another(tmp_path, body):
    home = tmp_path / "home"
    one, other = make_token(home, "jobs:read"), make_token(home, "jobs:read")
    with serve(home, body, limits=Limits(rate_per_second=1, rate_burst=2)) as plane:
        greedy, modest = client_of(plane, one), client_of(plane, other)
        statuses = [greedy.get("/v1/presets").status_code for _ in range(6)]
        assert 429 in statuses
        assert modest.get("/v1/presets").status_code == 200


def test_quotas_bound_jobs_workers_and_storage(two):
    plane, a, b, _ = two
    quotas = plane.context.control.quotas
    plane.launcher.refuses = "no cluster"
    quotas.set_quota("a", Quota(jobs=1))
    job = plane.create(a)
    found = problem(a.post("/v1/jobs", json=plane.body), 403, "quota_exceeded")
    assert "1 are allowed" in found["detail"]
    problem(a.post("/v1/jobs:validate", json=plane.body), 403, "quota_exceeded")
    plane.create(b)
    plane.store.set_state(job, "interrupted", attempt=1)
    second = plane.create(a)
    problem(a.post(f"/v1/jobs/{job}/resume"), 403, "quota_exceeded")
    a.post(f"/v1/jobs/{second}/cancel")
    assert a.post(f"/v1/jobs/{job}/resume").status_code == 202
    quotas.set_quota("a", Quota(workers=5))
    found = problem(a.post("/v1/jobs", json=plane.body), 403, "quota_exceeded")
    assert "asks for 3 workers, 3 are taken" in found["detail"]
    folder = plane.context.settings.home.job(job).root
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "big").write_bytes(b"x" * 10_000)
    quotas.set_quota("a", Quota(storage_bytes=5000))
    problem(a.post("/v1/jobs", json=plane.body), 403, "quota_exceeded")
    mine = a.get("/v1/whoami").json()
    assert mine["jobs"] == {"used": 1, "allowed": None}
    assert mine["storage_bytes"]["used"] >= 10_000
    quotas.set_quota("a", None)
    plane.create(a)


def test_a_web_page_cannot_reach_in_by_another_name(plane):
    answer = plane.http.get("/v1/jobs", headers={"Host": "evil.example:80"})
    problem(answer, 421, "misdirected_request")
    for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
        assert plane.http.get("/v1/jobs", headers={"Host": host}).status_code == 200
    # What says nothing of a job is there for probes and load balancers, whatever they call it.
    assert plane.http.get("/livez", headers={"Host": "10.1.2.3:8420"}).status_code == 200


@pytest.mark.parametrize("host", ["laconic.example.com", "10.1.2.3:8420", "[fd00::1]:8420"])
def test_with_keys_the_page_and_the_probes_answer_under_any_name(two, host):
    """A phone opens the page by the name of a proxy, an orchestrator probes by address."""
    plane, a, _, _ = two
    plane.wait_for("readiness", lambda: plane.http.get("/readyz").status_code == 200)
    named = {"Host": host}
    for path in ("/", "/jobs/job-x", "/assets/base.css", "/livez", "/readyz", "/openapi.json"):
        answer = plane.http.get(path, headers=named)
        assert answer.status_code == 200, (path, answer.text)
    assert a.get("/v1/jobs", headers=named).status_code == 200
    problem(plane.http.get("/v1/jobs", headers=named), 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/livez", "/", "/jobs/x", "/assets/base.css", "/docs"])
def test_what_needs_no_key_takes_no_body(two, path):
    """Who has no key is answered before anything of a body has come."""
    plane, *_ = two
    host, port = plane.url.removeprefix("http://").split(":")
    for method, status in (("POST", 405), ("PUT", 405), ("BREW", 405), ("GET", 200)):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n"
            connection.sendall(head.encode())
            answer = connection.recv(4096)
            assert answer.split(b" ")[1] == str(status).encode()
            assert status == 200 or b"allow: get" in answer.lower()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_changes_nothing(plane, headers):
    job = plane.create()
    problem(plane.http.post(f"/v1/jobs/{job}/cancel", headers=headers), 403, "cross_site")
    assert plane.http.get(f"/v1/jobs/{job}", headers=headers).status_code == 200


def test_our_own_page_may(plane):
    job = plane.create()
    own = {"Sec-Fetch-Site": "same-origin", "Origin": plane.url}
    assert plane.http.post(f"/v1/jobs/{job}/cancel", headers=own).status_code in (200, 202)


def test_models_and_data_come_from_the_named_folders_only(tmp_path, body, model_folder):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "train.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    (allowed / "sneaky").symlink_to(tmp_path)
    with serve(tmp_path / "home", body, roots=(allowed,)) as plane:

        def errors(path):
            over = {"data": {"path": path}, "evaluation": None}
            answer = plane.http.post("/v1/jobs", json={"preset": "tiny-cpu", "overrides": over})
            if answer.status_code == 201:
                return None
            return problem(answer, 422, "invalid_spec")["errors"]

        outside = [
            "/etc/passwd",
            "/nowhere/at/all",
            str(tmp_path / "train.jsonl"),
            str(allowed / ".." / "train.jsonl"),
            str(allowed / "sneaky" / "train.jsonl"),
        ]
        # Whether something is there is not told.
        assert len({e[0]["detail"] for e in map(errors, outside)}) == 1
        assert errors(str(allowed / "train.jsonl")) is None
        assert "no such file" in errors(str(allowed / "other.jsonl"))[0]["detail"]
        assert errors("builtin:tiny-train") is None


def _promoted(plane, tenant):
    """A named model of a tenant, where it would lie; its folder."""
    folder = plane.context.settings.home.promoted(tenant) / "short" / "model"
    shutil.copytree(plane.body["overrides"]["model"]["path"], folder)
    return folder


def _ways_in(http, body, place):
    """Ask for a place by each operation that takes one; the answers."""
    over = {"preset": "tiny-cpu", "overrides": {"model": {"path": str(place)}}}
    data = body["overrides"]["data"]
    file = {"preset": "tiny-cpu", "overrides": {"data": {**data, "path": f"{place}/config.json"}}}
    asked = {"benchmarks": [{"path": data["path"]}], "model": {"path": str(place)}}
    return [
        *(http.post(f"/v1/jobs{verb}", json=over) for verb in ("", ":validate", ":estimate")),
        *(http.post(f"/v1/jobs{verb}", json=file) for verb in ("", ":validate", ":estimate")),
        http.post("/v1/evaluations", json={"spec": asked}),
        http.post(
            "/v1/evaluations",
            json={
                "spec": {
                    "benchmarks": [{"path": f"{place}/config.json"}],
                    "model": {"path": "builtin:tiny-reasoner"},
                }
            },
        ),
    ]


@pytest.mark.parametrize("roots", ["named", "not named"])
def test_what_other_tenants_have_is_in_nobodys_reach(two, tmp_path, roots):
    """Neither by its path nor through links, also where a root holds the home folder."""
    plane, a, b, _ = two
    settings = plane.context.settings
    if roots == "not named":
        plane.context.settings = replace(settings, roots=None)
    folder = _promoted(plane, "a")
    job = plane.context.store.create_job(resolve("tiny-cpu"), None, tenant="a").id
    made = settings.home.job(job).model("compression")
    shutil.copytree(folder, made)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "up").symlink_to(settings.home.root.parent)
    there = folder.relative_to(settings.home.root.parent)
    places = [
        folder,
        made,
        tmp_path / "link",
        tmp_path / "up" / there,
        folder.parent / ".." / ".." / "b" / ".." / "a" / "short" / "model",
    ]
    said = set()
    for place in places:
        for answer in _ways_in(b, plane.body, place):
            errors = problem(answer, 422, "invalid_spec")["errors"]
            assert all("may not be read from" in e["detail"] for e in errors)
            said |= {e["detail"] for e in errors}
    for answer in _ways_in(b, plane.body, settings.home.promoted("a") / "nothing" / "model"):
        said |= {e["detail"] for e in problem(answer, 422, "invalid_spec")["errors"]}
    assert len(said) == 1, "whether something is there is not told"
    assert b.get("/v1/jobs").json()["data"] == []
    for place in (folder, made):
        over = {"model": {"path": str(place)}, "data": {"path": "builtin:tiny-train"}}
        over["evaluation"] = None
        answer = a.post("/v1/jobs:validate", json={"preset": "tiny-cpu", "overrides": over})
        # The folder was looked into: its weights are none.
        assert "may not be read from" not in answer.text


def test_with_a_key_the_machine_is_closed_until_folders_are_named(two):
    """A control plane on the loopback behind a proxy asks for no LACONIC_ROOTS at its start."""
    plane, a, _, _ = two
    plane.context.settings = replace(plane.context.settings, roots=None)
    for answer in _ways_in(a, plane.body, plane.body["overrides"]["model"]["path"]):
        problem(answer, 422, "invalid_spec")
    assert a.post("/v1/jobs", json={"preset": "tiny-cpu"}).status_code == 201


def test_a_model_with_code_of_its_own_is_refused(plane, model_folder):
    (model_folder / "config.json").write_text(
        '{"model_type": "qwen2", "auto_map": {"AutoModel": "evil.Model"}}'
    )
    (error,) = problem(plane.http.post("/v1/jobs", json=plane.body), 422, "invalid_spec")["errors"]
    assert error["pointer"] == "/model/path"
    assert "auto_map" in error["detail"]


def test_a_stream_too_many_is_refused_and_a_closed_one_makes_room(tmp_path, body):
    stream = {"Accept": "text/event-stream"}
    with serve(tmp_path / "home", body, limits=Limits(max_streams_per_key=1)) as plane:
        job = plane.running()
        path = f"/v1/jobs/{job}/events"
        with plane.http.stream("GET", path, headers=stream) as first:
            lines = first.iter_lines()  # Held: the stream ends with it.
            next(lines)
            answer = plane.http.get(path, headers=stream)
            problem(answer, 429, "too_many_streams")
            assert "retry-after" in answer.headers
        plane.wait_for("the stream to be let go", lambda: plane.context.streams.open == 0)
        with plane.http.stream("GET", path, headers=stream) as again:
            assert again.status_code == 200


def test_a_connection_too_many_is_told_so(tmp_path, body):
    with serve(tmp_path / "home", body, limits=Limits(max_connections=2)) as plane:
        clients = [httpx.Client(base_url=plane.url) for _ in range(3)]
        answers = [c.get("/livez") for c in clients]
        assert [a.status_code for a in answers] == [200, 200, 503]
        assert answers[2].json()["code"] == "too_many_connections"
        for client in clients:
            client.close()


def test_two_control_planes_on_a_store_keep_one_quota(tmp_path, body, monkeypatch):
    """Each counts before it adds: what both find free must not be taken twice."""
    counted = api.usage.active_usage

    def slowly(store, tenant):
        found = counted(store, tenant)
        time.sleep(0.1)
        return found

    monkeypatch.setattr("api.usage.active_usage", slowly)
    home, limits = tmp_path / "home", Limits(quota_jobs=1)
    with (
        serve(home, body, limits=limits, alone=False) as one,
        serve(home, body, limits=limits, alone=False) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        post = [pool.submit(plane.http.post, "/v1/jobs", json=body) for plane in (one, two) * 4]
        found = sorted(answer.result().status_code for answer in post)
        assert found == [201] + [403] * 7
