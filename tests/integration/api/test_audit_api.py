"""The audit log: every request that could change something, with who, what and what came of it."""

from __future__ import annotations

import json

from services.control.audit import AuditEntry, AuditRecord, first_broken
from tests.integration.api.conftest import client_of, make_token, problem, serve


def test_what_was_asked_and_by_whom_is_in_the_log(tmp_path, body):
    home = tmp_path / "home"
    worker = make_token(home, "jobs:read", "jobs:write", tenant="a", name="ci")
    root = make_token(home, "admin", name="root")
    with serve(home, body) as plane:
        http, admin = client_of(plane, worker), client_of(plane, root)
        job = plane.create(http)
        http.get(f"/v1/jobs/{job}")
        http.post(f"/v1/jobs/{job}/cancel")
        plane.http.post("/v1/jobs", json=body)
        http.post("/v1/jobs", json={})
        http.delete("/v1/jobs")
        problem(http.get("/v1/audit"), 403, "missing_scope")
        answer = admin.get("/v1/audit")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        lines = [
            (r["actor"], r["tenant"], r["method"], r["operation"], r["status"], r["code"])
            for r in page["data"]
        ]
        assert lines == [
            ("ci", "a", "POST", "createJob", 201, None),
            ("ci", "a", "POST", "cancelJob", 403, "missing_scope"),
            ("unknown", "default", "*", None, 401, "refused_requests"),
            ("ci", "a", "POST", "createJob", 422, "invalid_request"),
            ("ci", "a", "DELETE", None, 405, "method_not_allowed"),
        ]
        assert all(r["address"] == "127.0.0.1" for r in page["data"])
        assert page["data"][1]["path"] == f"/v1/jobs/{job}/cancel"
        assert page["data"][0]["key_id"].startswith("key-")
        assert page["data"][0]["request_id"].startswith("req-")
        rest = admin.get("/v1/audit", params={"after": 2, "limit": 2, "tenant": "a"}).json()
        assert [r["id"] for r in rest["data"]] == [4, 5]
        export = admin.get("/v1/audit.ndjson").text.splitlines()
        records = [json.loads(line) for line in export]
        chain = [
            AuditRecord(
                r.pop("id"),
                AuditEntry(**{k: v for k, v in r.items() if k != "digest"}),
                r["digest"],
            )
            for r in records
        ]
        assert first_broken(chain) is None
        assert len(chain) == 5


def test_who_has_no_key_cannot_fill_the_log(tmp_path, body, monkeypatch):
    """They are counted, and told of in one record now and then."""
    home = tmp_path / "home"
    root = make_token(home, "admin", name="root")
    with serve(home, body) as plane:
        admin = client_of(plane, root)
        for _ in range(10):
            plane.http.post("/v1/jobs", json=body)
            plane.http.delete("/v1/jobs")
            plane.http.put("/livez")
            plane.http.post("/", content=b"x" * 5_000_000)
            plane.http.post("/v1/jobs", json=body, headers={"Origin": "https://evil.example"})
        (first,) = admin.get("/v1/audit").json()["data"]
        assert (first["actor"], first["code"]) == ("unknown", "refused_requests")
        assert first["path"].startswith("1 requests")
        text = admin.get("/metrics").text
        assert 'laconic_http_refused_total{code="unauthenticated"} 20.0' in text
        assert 'laconic_http_refused_total{code="cross_site"} 10.0' in text
        monkeypatch.setattr("api.refusals.SUMMARY_SECONDS", 0.0)
        plane.http.post("/v1/jobs", json=body)
        second = admin.get("/v1/audit").json()["data"][-1]
        assert second["path"].startswith("50 requests")
        # What a key does is recorded, one by one, whatever comes of it.
        admin.post("/v1/jobs", content=b"x" * 5_000_000)
        admin.delete("/v1/jobs")
        codes = [r["code"] for r in admin.get("/v1/audit").json()["data"]]
        assert codes[2:] == ["body_too_large", "method_not_allowed"]


def test_a_fault_is_in_the_log_too(plane):
    plane.launcher.size_error = RuntimeError("x")
    plane.http.post("/v1/jobs", json=plane.body)
    (record,) = plane.http.get("/v1/audit").json()["data"]
    assert (record["status"], record["code"]) == (500, "internal_error")


def test_an_audit_log_that_cannot_be_written_does_not_undo_what_was_done(plane, monkeypatch):
    def full(entry):
        raise OSError("disk full")

    monkeypatch.setattr(plane.context.control.audit, "append", full)
    assert plane.http.post("/v1/jobs", json=plane.body).status_code == 201
