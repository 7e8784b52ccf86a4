"""A secret never appears in anything the control plane says, stores in the clear, or logs."""

from __future__ import annotations

import logging
import sqlite3

import pytest
from fastapi.routing import APIRoute

from services.home import Home
from tests.integration.api.conftest import client_of, make_token, serve


@pytest.fixture
def everything(tmp_path, body, caplog, capfd, monkeypatch):
    """A control plane that has been through a lot, and everything it has said meanwhile."""
    caplog.set_level(logging.DEBUG)
    canaries = {"ray": "canary-ray-token-0123456789", "secret": "canary-secret-" + "x" * 32}
    monkeypatch.setenv("RAY_AUTH_TOKEN", canaries["ray"])
    monkeypatch.setenv("LACONIC_SECRET", canaries["secret"])
    home = tmp_path / "home"
    canaries["token"] = make_token(home, "admin", name="root")
    said: list[str] = []
    with serve(home, body) as plane:
        http = client_of(plane, canaries["token"])
        http.timeout = 120  # The report loads a plotting library.

        def ask(method, path, **options):
            answer = http.request(method, path, **options)
            said.append(f"{answer.headers}\n{answer.text}")
            return answer

        job = ask("POST", "/v1/jobs", json=body).json()["id"]
        hook = http.post(
            "/v1/webhooks", json={"url": "https://93.184.216.34/", "topics": ["job.failed"]}
        ).json()
        canaries["webhook"] = hook["secret"].removeprefix("whsec_")
        plane.launcher.size_error = RuntimeError(f"fault with {canaries['ray']}")
        ask("POST", "/v1/jobs", json=body)
        plane.launcher.size_error = None
        for over in ({"name": canaries["token"]}, {"data": {"prompt_suffix": canaries["token"]}}):
            answer = ask("POST", "/v1/jobs", json={"preset": "tiny-cpu", "overrides": over})
            assert answer.json()["code"] == "secret_in_body"
        hidden = "".join(f"\\u{ord(c):04x}" for c in canaries["token"])
        signed = "whsec_" + canaries["webhook"].replace("/", "\\/")
        for text in (hidden, "\\u006c" + canaries["token"][1:], "\\u0077" + signed[1:], signed):
            answer = ask(
                "POST",
                f"/v1/jobs/{job}/cancel",
                content=f'{{"reason": "because {text}"}}',
                headers={"Content-Type": "application/json"},
            )
            assert answer.json()["code"] == "secret_in_body"
        answer = ask("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": canaries["token"]})
        assert answer.json()["code"] == "secret_in_header"
        for path in (f"/v1/presets/{canaries['token']}", f"/v1/jobs?{canaries['token']}=1"):
            assert "***" in ask("GET", path).text
        ask("POST", f"/v1/jobs/{canaries['token']}/cancel")
        ask("GET", f"/v1/jobs/{job}", headers={"Authorization": f"Bearer {canaries['token']}x"})
        ask("POST", f"/v1/jobs/{job}/cancel")
        values = {
            "{job_id}": job,
            "{webhook_id}": hook["id"],
            "{step}": "1",
            "{path:path}": "x",
            "{role}": "driver",
            "{rank}": "0",
            "{name}": "tiny-cpu",
            "{delivery_id}": "msg-x",
        }
        for route in plane.app.routes:
            if not isinstance(route, APIRoute) or route.path.endswith(("rotate", "test")):
                continue
            path = route.path
            for name, value in values.items():
                path = path.replace(name, value)
            for method in route.methods - {"DELETE"}:
                ask(method, path)
        ask("GET", "/v1/audit")
        ask("GET", "/v1/audit.ndjson")
        ask("GET", "/openapi.json")
        events = plane.store.events(job, limit=1000)
        said.append(repr(events))
        yield canaries, said, caplog, capfd, home, plane


def test_no_secret_is_said_or_logged(everything):
    canaries, said, caplog, capfd, _, _ = everything
    assert len(said) > 40
    printed = capfd.readouterr()
    outputs = {
        "an answer": "\n".join(said),
        "the log": caplog.text,
        "standard output": printed.out,
        "standard error": printed.err,
    }
    for where, text in outputs.items():
        for name, canary in canaries.items():
            # The one thing that may repeat a secret is a fault's own text, in the log of the
            # process that holds the secret anyway.
            if name == "ray" and where in ("the log", "standard error"):
                continue
            assert canary not in text, f"{name} in {where}"


def test_tokens_are_nowhere_on_disk_and_webhook_secrets_are_their_owners(everything):
    canaries, _, _, _, home, _ = everything
    for file in home.rglob("*"):
        if not file.is_file():
            continue
        content = file.read_bytes()
        for name in ("token", "ray", "secret"):
            assert canaries[name].encode() not in content, f"{name} in {file}"
        if canaries["webhook"].encode() in content:
            assert file.name.startswith("control.db")
            assert file.stat().st_mode & 0o077 == 0
    with sqlite3.connect(Home(home).control_database) as db:
        assert "token" not in db.execute("SELECT * FROM api_keys").fetchone()
