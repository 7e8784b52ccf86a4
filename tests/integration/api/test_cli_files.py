"""Commands around a job: keys, quotas, audit, logs, checkpoints, models, webhooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from api.cli import app
from services.control.webhook_target import networks
from tests.integration.api.conftest import serve
from tests.integration.api.test_checkpoints_api import write_checkpoint
from tests.integration.stores.conftest import redis_server

__all__ = ["redis_server"]

runner = CliRunner()


@pytest.fixture
def local(tmp_path, body):
    with serve(tmp_path / "home", body, webhook_networks=networks("127.0.0.0/8")) as plane:
        yield plane


@pytest.fixture
def laconic(local, tmp_path):
    def run(*arguments, code=0, home=False):
        place = ["--home", str(tmp_path / "home")] if home else ["--url", local.url]
        done = runner.invoke(app, [*arguments, *place], env={"COLUMNS": "200"})
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    return run


def test_a_key_is_made_shown_once_rotated_and_revoked(local, laconic, tmp_path):
    made = json.loads(
        laconic(
            "keys",
            "create",
            "ci",
            "--scope",
            "jobs:read",
            "--tenant",
            "a",
            "--expires",
            "90d",
            "--json",
            home=True,
        )
    )
    assert made["scopes"] == ["jobs:read"]
    assert made["expires_at"] - made["created_at"] == 90 * 86400
    listed = laconic("keys", "list", home=True)
    assert made["id"] in listed
    assert made["token"] not in listed
    auth = lambda token: {"Authorization": f"Bearer {token}"}  # noqa: E731
    local.wait_for("the first key", lambda: local.http.get("/v1/jobs").status_code == 401)
    assert local.http.get("/v1/jobs", headers=auth(made["token"])).status_code == 200
    rotated = laconic("keys", "rotate", made["id"], "--overlap", "0s", "--json", home=True)
    token = json.loads(rotated)["token"]
    assert local.http.get("/v1/jobs", headers=auth(token)).status_code == 200
    old = lambda: local.http.get("/v1/jobs", headers=auth(made["token"])).status_code  # noqa: E731
    local.wait_for("the end of the old token", lambda: old() == 401)
    laconic("keys", "revoke", made["id"], home=True)
    new = lambda: local.http.get("/v1/jobs", headers=auth(token)).status_code  # noqa: E731
    local.wait_for("the end of the key", lambda: new() == 401)
    assert "revoked" in laconic("keys", "list", home=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "create", "x"],
        ["keys", "create", "x", "--scope", "all"],
        ["keys", "create", "x", "--scope", "admin", "--tenant", "../x"],
        ["keys", "create", "x", "--scope", "admin", "--expires", "soon"],
        ["keys", "create", "", "--scope", "admin"],
        ["keys", "revoke", "key-none"],
    ],
)
def test_bad_keys_are_refused(tmp_path, arguments):
    done = runner.invoke(app, [*arguments, "--home", str(tmp_path)])
    assert done.exit_code != 0
    assert (
        not (tmp_path / "control.db").exists()
        or "key-"
        not in runner.invoke(app, ["keys", "list", "--json", "--home", str(tmp_path)]).stdout
    )


TOKEN = "lk_abcd1234_" + "x" * 43


@pytest.fixture
def imports(tmp_path):
    """Runs ``keys import`` on a home folder with a token in a file; what it says, on both ends."""

    def run(content, *arguments, code=0, scope="jobs:read"):
        file = tmp_path / "token"
        file.write_text(content)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "api.cli", "keys", "import", "first"),
                *("--token-file", str(file), "--scope", scope),
                *("--home", str(tmp_path / "home"), *arguments),
            ],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "x" * 20 not in said
        return said

    return run


def test_the_key_of_a_token_in_a_file_is_made_once(local, laconic, imports):
    assert "is there now" in imports(f"{TOKEN}\n", "--tenant", "a")
    auth = {"Authorization": f"Bearer {TOKEN}"}
    local.wait_for("the key", lambda: local.http.get("/v1/jobs").status_code == 401)
    assert local.http.get("/v1/whoami", headers=auth).json()["tenant"] == "a"
    assert "is already there" in imports(TOKEN, "--tenant", "a")
    said = imports(TOKEN, scope="admin")
    assert "is already there" in said
    assert "stay as they are" in said
    assert json.loads(imports(TOKEN, "--json"))["outcome"] == "known"
    laconic("keys", "revoke", "key-abcd1234", home=True)
    assert "revoked and stays so" in imports(TOKEN)
    (key,) = json.loads(laconic("keys", "list", "--json", home=True))
    assert (key["status"], key["scopes"], key["tenant"]) == ("revoked", ["jobs:read"], "a")
    local.wait_for("its end", lambda: local.http.get("/v1/jobs", headers=auth).status_code == 401)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "this is no token"),
        ("lk_ABCD1234_" + "x" * 43, "this is no token"),
        ("lk_abcd1234_" + "x" * 42, "this is no token"),
        (f"{TOKEN} {TOKEN}", "this is no token"),
        (f"{TOKEN[:-1]}é", "this is no token"),
        ("lk_abcd1234_" + "x" * 42 + "y", "another token"),
    ],
)
def test_what_is_no_token_or_another_one_is_refused_and_not_shown(imports, content, said):
    imports(TOKEN)
    assert said in imports(content, code=2)


def test_what_else_an_import_refuses(imports, tmp_path):
    assert "cannot be read" in imports(TOKEN, "--token-file", str(tmp_path / "none"), code=2)
    assert "--scope" in imports(TOKEN, scope="all", code=2)
    assert "--tenant" in imports(TOKEN, "--tenant", "../x", code=2)


def test_commands_work_on_the_store_that_is_named(tmp_path, redis_server, monkeypatch):
    """Two home folders, one Redis store: keys, quotas and the audit log are those of the store."""
    monkeypatch.setenv("LACONIC_STORE", f"{redis_server.url}?prefix=cli-{tmp_path.name}:")
    file = tmp_path / "token"
    file.write_text(TOKEN)

    def laconic(home, *arguments):
        done = runner.invoke(app, [*arguments, "--home", str(tmp_path / home)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    laconic("one", "keys", "import", "ci", "--scope", "admin", "--token-file", str(file))
    laconic("one", "quota", "set", "a", "--jobs", "3")
    (key,) = json.loads(laconic("two", "keys", "list", "--json"))
    assert key["id"] == "key-abcd1234"
    assert json.loads(laconic("two", "quota", "list", "--json"))["a"]["jobs"] == 3
    assert "follows" in laconic("two", "audit", "verify")
    assert not list(tmp_path.glob("*/control.db"))


def test_quotas_and_the_audit_log(local, laconic, tmp_path):
    laconic("quota", "set", "default", "--jobs", "1", home=True)
    local.create()
    assert local.http.post("/v1/jobs", json=local.body).status_code == 403
    assert "default" in laconic("quota", "list", home=True)
    laconic("quota", "unset", "default", home=True)
    local.create()
    lines = [json.loads(x) for x in laconic("audit", "export", home=True).splitlines()]
    assert [x["status"] for x in lines] == [201, 403, 201]
    assert "follows" in laconic("audit", "verify", home=True)
    import sqlite3

    with sqlite3.connect(tmp_path / "home" / "control.db") as db:
        db.execute("DROP TRIGGER audit_never_changes")
        db.execute("UPDATE audit SET entry = replace(entry, '403', '201')")
    assert "record 2" in laconic("audit", "verify", home=True, code=1)


def test_logs_checkpoints_models_and_artifacts(local, laconic, tmp_path):
    job = local.running()
    for step in (1, 2):
        write_checkpoint(local, job, step)
    folder = local.context.settings.home.job(job)
    folder.logs.mkdir()
    (folder.logs / "learner-0.log").write_text("one\ntwo\n")
    (folder.report).mkdir()
    (folder.report / "report.json").write_text("{}")
    assert "learner" in laconic("logs", job)
    assert laconic("logs", job, "learner") == "one\ntwo\n"
    laconic("checkpoints", "pin", job, "1")
    assert [c["pinned"] for c in json.loads(laconic("checkpoints", "list", job, "--json"))] == [
        False,
        True,
    ]
    laconic("checkpoints", "unpin", job, "1")
    local.store.set_state(job, "succeeded", attempt=1)
    assert laconic("logs", job, "learner", "--follow", "--tail", "6") == "two\n"
    laconic("models", "promote", "short", job, "2")
    assert json.loads(laconic("models", "list", "--json"))[0]["step"] == 2
    laconic("checkpoints", "delete", job, "1")
    laconic("checkpoints", "download", job, "2", "--out", str(tmp_path / "c"))
    assert (tmp_path / "c" / "learner" / "state.pt").read_bytes() == b"state"
    laconic("models", "download", "short", "--out", str(tmp_path / "m"))
    assert (tmp_path / "m" / "config.json").read_text() == "{}"
    laconic("models", "delete", "short")
    laconic("artifacts", "download", job, "--out", str(tmp_path / "a"))
    assert (tmp_path / "a" / "report" / "report.json").read_text() == "{}"
    assert "report.json" in laconic("artifacts", "list", job, "--kind", "report")


def test_validate_estimate_wait_and_labels(local, laconic):
    options = ["--preset", "tiny-cpu"]
    assert "would be taken" in laconic("validate", *options)
    assert "38 steps" in laconic("estimate", *options, "--mean-tokens", "60")
    job = json.loads(laconic("submit", *options, "--label", "team=x", "--json"))["id"]
    assert job in laconic("status", "--label", "team=x", "--state", "queued")
    assert job not in laconic("status", "--label", "team=y")
    local.http.post(f"/v1/jobs/{job}/cancel")
    local.store.set_state(job, "cancelled", attempt=None)
    assert "cancelled" in laconic("wait", job, code=1)
    assert "local of tenant default" in laconic("whoami")


def test_webhooks(local, laconic):
    secret = laconic("webhooks", "create", "http://127.0.0.1:9/hook", "--topic", "job.failed")
    assert re.fullmatch(r"whsec_\S{44}\n", secret.splitlines(keepends=True)[0])
    (hook,) = json.loads(laconic("webhooks", "list", "--json"))
    laconic("webhooks", "test", hook["id"])
    sent = lambda: json.loads(laconic("webhooks", "deliveries", hook["id"], "--json"))  # noqa: E731
    local.wait_for("an attempt", lambda: sent()[0]["attempts"] == 1)
    assert "ConnectError" in sent()[0]["error"]
    laconic("webhooks", "redeliver", hook["id"], sent()[0]["id"])
    assert laconic("webhooks", "rotate", hook["id"]).startswith("whsec_")
    laconic("webhooks", "delete", hook["id"])
    assert json.loads(laconic("webhooks", "list", "--json")) == []


def test_a_job_is_forked_and_taken_back(local, laconic):
    job = local.running()
    for step in (10, 20):
        write_checkpoint(local, job, step)
    made = json.loads(
        laconic(
            *("fork", job, "--step", "10", "--name", "slower", "--label", "team=x"),
            *("--set", "stages.exploration.learning_rate=1e-6", "--reason", "too fast"),
            *("--idempotency-key", "once", "--json"),
        )
    )
    assert made["forked_from"] == {"job": job, "step": 10}
    assert (made["name"], made["labels"]) == ("slower", {"team": "x"})
    assert made["spec"]["stages"][1]["learning_rate"] == 1e-6
    assert "goes on from step 20" in laconic("fork", job)
    local.store.set_state(job, "interrupted", attempt=1)
    assert "attempt 2" in laconic("resume", job, "--from-step", "10")
    asked = [e.data for e in local.store.events(job) if e.data.get("from_step")]
    assert [data["from_step"] for data in asked] == [10]


def test_events_and_figures(local, laconic):
    job = local.running()
    for step in (1, 2, 3):
        local.store.append_metrics(job, 1, step, {"step": step, "stage": "s", "entropy": 1.5})
    local.http.post(f"/v1/jobs/{job}/stage", json={"to": "next", "reason": "short [enough]"})
    lines = laconic("events", job).splitlines()
    assert lines[0].split()[0] == "1"
    assert "(local: short [enough])" in lines[-1]
    found = [
        json.loads(line) for line in laconic("events", job, "--after", "2", "--json").splitlines()
    ]
    assert [e["id"] for e in found] == list(range(3, len(lines) + 1))
    assert laconic("metrics", job).count("token entropy (nats) 1.500") == 3
    records = [
        json.loads(line) for line in laconic("metrics", job, "--after", "1", "--json").splitlines()
    ]
    assert [r["step"] for r in records] == [2, 3]
    assert laconic("metrics", job, "--csv").splitlines()[0].startswith("step")
    (curves,) = json.loads(laconic("metrics", job, "--field", "entropy"))
    assert curves["job"] == job
    assert "goes on" not in laconic("wait", job, "--timeout", "0.1", code=3)
    local.store.set_state(job, "succeeded", attempt=1)
    assert laconic("events", job, "--follow").splitlines()[-1].endswith("succeeded")


def test_the_list_of_jobs_is_filtered_and_turned(local, laconic):
    old, new = local.create(), local.running(stage="exploration")
    first = json.loads(laconic("status", "--limit", "1", "--json"))
    assert [j["id"] for j in first["data"]] == [new]
    second = json.loads(laconic("status", "--after", first["next_cursor"], "--json"))
    assert [j["id"] for j in second["data"]] == [old]
    assert first["next_cursor"] in laconic("status", "--limit", "1").replace("\n", "")

    def found(*options):
        return [j["id"] for j in json.loads(laconic("status", *options, "--json"))["data"]]

    assert found("--stage", "exploration") == [new]
    assert found("--name", "none") == []
    assert found("--created-after", "1h") == [new, old]
    assert found("--created-before", "2020-01-01") == []


def test_a_wish_may_hold_only_for_the_job_as_it_was_seen(local, laconic):
    job = local.running()
    tag = laconic("etag", job).strip()
    laconic("stage", job, "next", "--if-match", tag)
    laconic("pause", job, "--if-match", tag, code=1)
    assert local.state(job) == "running"
    laconic("pause", job, "--if-match", laconic("etag", job).strip())
    assert local.state(job) == "pausing"


def test_every_verb_answers_programs(local, laconic, tmp_path):
    job = local.running()
    write_checkpoint(local, job, 1)
    write_checkpoint(local, job, 2)
    as_json = lambda *a: json.loads(laconic(*a, "--json"))  # noqa: E731
    assert as_json("checkpoints", "pin", job, "1") == {"job": job, "step": 1, "pinned": True}
    assert as_json("checkpoints", "unpin", job, "1")["pinned"] is False
    shown = as_json("checkpoints", "show", job, "1")
    assert {f["path"] for f in shown["files"]} >= {"driver.json", "learner/state.pt"}
    fetched = as_json("checkpoints", "download", job, "1", "--out", str(tmp_path / "c"))
    assert sorted(fetched) == sorted(str(tmp_path / "c" / f["path"]) for f in shown["files"])
    laconic("models", "promote", "short", job, "2")
    assert len(as_json("models", "download", "short", "--out", str(tmp_path / "m"))) == 2
    assert as_json("models", "delete", "short") == {"name": "short", "deleted": True}
    local.store.set_state(job, "succeeded", attempt=1)
    assert as_json("checkpoints", "delete", job, "1")["deleted"] is True
    assert as_json("artifacts", "download", job, "--out", str(tmp_path / "a")) == []
    hook = as_json("webhooks", "create", "http://127.0.0.1:9/hook")
    assert hook["secret"].startswith("whsec_")
    sent = as_json("webhooks", "test", hook["id"])
    assert as_json("webhooks", "redeliver", hook["id"], sent["id"])["id"] == sent["id"]
    assert as_json("webhooks", "rotate", hook["id"])["secret"] != hook["secret"]
    assert as_json("webhooks", "delete", hook["id"])["deleted"] is True


_AS_INSTALLED = "import sys; sys.argv = ['laconic']; from api.cli import main; main()"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("laconic checkp", "checkpoints"),
        ("laconic status --st", "--state"),
        ("laconic logs -", "-f"),
    ],
)
def test_the_shell_completes_what_is_typed(typed, offered):
    ask = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv = ['laconic']; from api.cli import main; main()",
        ],
        env={**os.environ, "_LACONIC_COMPLETE": "complete_bash", **ask},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert offered in done.stdout.split(), done.stderr
