"""The control database: what it keeps, what it refuses, and who may read it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from services.control.api_keys import make_key, rotate
from services.control.audit import AuditEntry, first_broken
from services.control.idempotency import Answer
from services.control.quotas import Quota
from services.control.secret import SecretError, server_secret
from services.control.sqlite_database import VERSION
from services.control.stores import open_control
from services.control.webhooks import Delivery, Webhook
from services.home import Home
from services.stores.open import leave_address
from services.stores.sqlite_schema import UnknownLayout

SECRET = b"s" * 32


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.db"


@pytest.fixture
def control(path):
    return open_control(path)


def entry(**changes):
    values = {
        "time": 1.0,
        "tenant": "a",
        "actor": "ci",
        "key_id": "key-x",
        "address": "127.0.0.1",
        "method": "POST",
        "path": "/v1/jobs",
        "operation": "createJob",
        "status": 201,
        "code": None,
        "request_id": "req-1",
    }
    return AuditEntry(**{**values, **changes})


def delivery(number, **changes):
    values = {
        "id": f"msg-{number}",
        "webhook_id": "wh-1",
        "topic": "job.failed",
        "body": "{}",
        "state": "pending",
        "attempts": 0,
        "created_at": 10.0 + number,
        "due_at": 10.0 + number,
    }
    return Delivery(**{**values, **changes})


WEBHOOK = Webhook(
    id="wh-1",
    tenant="a",
    url="https://example.com/",
    topics=frozenset({"job.failed"}),
    secret="whsec_x",
    created_at=1.0,
)


def test_the_file_is_its_owners_alone(control, path):
    for file in path.parent.glob("control.db*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_newer_layout_is_left_alone(control, path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UnknownLayout):
        open_control(path)


def test_keys_come_back_as_they_were(control, path):
    assert not control.keys.any()
    key, _ = make_key(SECRET, name="ci", scopes={"jobs:read", "jobs:write"}, now=5.0, lifetime=9)
    control.keys.add(key)
    changed, _ = rotate(SECRET, key, now=6.0, overlap=1.0)
    control.keys.replace(changed)
    control.keys.touch(key.id, 7.0)
    again = open_control(path).keys
    assert again.all() == [replace(changed, last_used_at=7.0)]
    assert again.any()
    assert again.find("key-none") is None


def test_quotas_are_set_and_taken_away(control):
    control.quotas.set_quota("a", Quota(jobs=3))
    control.quotas.set_quota("a", Quota(jobs=4, storage_bytes=10))
    assert control.quotas.quota("a") == Quota(4, None, 10)
    control.quotas.set_quota("a", None)
    assert control.quotas.quota("a") is None


def test_one_of_many_that_ask_at_once_acts(path):
    decisions, stores = [], []

    def ask():
        stores.append(open_control(path))
        decisions.append(stores[-1].idempotency.begin("a", "key", "print", 1.0).kind)

    open_control(path)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(decisions) == ["act"] + ["in_flight"] * 7


def test_an_answer_outlives_the_process_and_a_request_in_flight_is_taken_up(control, path):
    control.idempotency.begin("a", "done", "p", 1.0)
    control.idempotency.finish("a", "done", Answer(201, {"location": "/x"}, b"\x00body"))
    first = control.idempotency.begin("a", "cut", "p", 1.0)
    again = open_control(path).idempotency
    assert again.begin("a", "cut", "p", 2.0).kind == "in_flight"
    control.idempotency.leave()
    assert again.begin("a", "done", "p", 2.0).answer == Answer(201, {"location": "/x"}, b"\x00body")
    taken_up = again.begin("a", "cut", "p", 2.0)
    assert (taken_up.kind, taken_up.resource) == ("act", first.resource)
    assert again.begin("b", "done", "other", 2.0).kind == "act"


def test_a_request_in_flight_is_taken_up_once_its_process_was_killed(control, path):
    """By another control plane on the same folder, at once: nobody needs to start first."""
    take = (
        "import sys, time; from pathlib import Path; from services.control.stores import *;"
        "c = open_control(Path(sys.argv[1]));"
        "print(c.idempotency.begin('a', 'cut', 'p', 1.0).resource, flush=True); time.sleep(99)"
    )
    command = [sys.executable, "-c", take, str(path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        resource = other.stdout.readline().strip()
        assert resource
        assert control.idempotency.begin("a", "cut", "p", 2.0).kind == "in_flight"
    finally:
        other.kill()
        other.wait(10)
    taken_up = control.idempotency.begin("a", "cut", "p", 2.0)
    assert (taken_up.kind, taken_up.resource, taken_up.since) == ("act", resource, 1.0)
    assert control.idempotency.begin("a", "cut", "p", 2.0).kind == "in_flight"


def test_a_database_of_the_first_layout_is_upgraded(path):
    open_control(path)
    with sqlite3.connect(path) as db:
        for column in ("holder", "first_at"):
            db.execute(f"ALTER TABLE idempotency DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    store = open_control(path).idempotency
    assert store.begin("a", "k", "p", 1.0).kind == "act"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_refused_request_frees_its_key_and_a_failed_one_keeps_it(control):
    store = control.idempotency
    store.begin("a", "refused", "p", 1.0)
    store.forget("a", "refused")
    assert store.begin("a", "refused", "other", 2.0).kind == "act"
    resource = store.begin("a", "failed", "p", 1.0).resource
    store.reopen("a", "failed")
    assert store.begin("a", "failed", "other", 2.0).kind == "mismatch"
    assert store.begin("a", "failed", "p", 2.0).resource == resource


def test_the_audit_log_cannot_be_changed(control, path):
    for number in range(5):
        control.audit.append(entry(status=200 + number, tenant="a" if number % 2 else "b"))
    records = control.audit.records()
    assert [r.id for r in records] == [1, 2, 3, 4, 5]
    assert [r.id for r in control.audit.records(after=2, tenant="a")] == [4]
    assert first_broken(records) is None
    with sqlite3.connect(path) as db:
        for statement in ("DELETE FROM audit WHERE id = 2", "UPDATE audit SET entry = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                db.execute(statement)
        # Whoever takes the triggers away is found out by the digests.
        db.execute("DROP TRIGGER audit_never_shrinks")
        db.execute("DELETE FROM audit WHERE id = 2")
    assert first_broken(control.audit.records()) == 3


def test_a_changed_record_is_found(control):
    control.audit.append(entry())
    control.audit.append(entry(actor="other"))
    first, second = control.audit.records()
    assert first_broken([replace(first, entry=entry(actor="forged")), second]) == 1


def test_the_outbox_hands_each_delivery_to_one_and_takes_it_back_when_its_time_runs_out(control):
    hooks = control.webhooks
    hooks.add(WEBHOOK)
    hooks.enqueue("job-1", 4, False, [delivery(1), delivery(2), delivery(3, due_at=99.0)])
    assert [d.id for d in hooks.take_due(20.0, 30.0, 10)] == ["msg-1", "msg-2"]
    assert hooks.take_due(49.0, 30.0, 10) == []
    assert len(hooks.take_due(50.0, 30.0, 10)) == 2
    hooks.put(delivery(1, state="delivered", attempts=1, status=204))
    hooks.put(delivery(2, state="dead", attempts=8, error="no answer"))
    assert hooks.counts() == {"delivered": 1, "dead": 1, "pending": 1}
    assert [d.id for d in hooks.deliveries("wh-1", None, 2)] == ["msg-3", "msg-2"]
    assert [d.id for d in hooks.deliveries("wh-1", "msg-2", 2)] == ["msg-1"]
    assert hooks.trim(12.5) == 2


def test_the_outbox_passes_over_webhooks_that_have_their_share(control):
    hooks = control.webhooks
    for name in ("wh-1", "wh-2", "wh-3"):
        hooks.add(replace(WEBHOOK, id=name))
    first = [delivery(n) for n in range(1, 4)]
    hooks.enqueue("job-1", 4, False, [*first, *(delivery(n, webhook_id="wh-2") for n in (4, 5))])
    hooks.enqueue("job-2", 1, False, [delivery(6, webhook_id="wh-3")])
    taken = hooks.take_due(20.0, 30.0, 1, frozenset({"wh-1", "wh-3"}))
    assert [d.id for d in taken] == ["msg-4"]
    assert [d.id for d in hooks.take_due(20.0, 30.0, 9, {"wh-1"})] == ["msg-5", "msg-6"]
    assert hooks.take_due(20.0, 30.0, 9, ["wh-1"]) == []
    assert [d.id for d in hooks.take_due(20.0, 30.0, 2)] == ["msg-1", "msg-2"]


def test_an_event_goes_into_the_outbox_once(control):
    hooks = control.webhooks
    hooks.add(WEBHOOK)
    assert hooks.position("job-1") is None
    hooks.enqueue("job-1", 1, False, [delivery(1)])
    hooks.enqueue("job-1", 2, True, [delivery(1), delivery(2)])
    assert hooks.position("job-1") == 2
    assert hooks.open_jobs() == []
    assert len(hooks.deliveries("wh-1", None, 10)) == 2


def test_a_job_is_followed_from_its_begin_and_again_when_it_goes_on(control):
    hooks = control.webhooks
    hooks.follow(["job-1", "job-2"])
    assert hooks.position("job-1") == 0
    hooks.enqueue("job-1", 7, True, [])
    assert hooks.open_jobs() == ["job-2"]
    hooks.follow(["job-1"])
    assert sorted(hooks.open_jobs()) == ["job-1", "job-2"]
    assert hooks.position("job-1") == 7


def test_a_webhook_that_is_removed_takes_its_deliveries_along(control):
    hooks = control.webhooks
    assert hooks.add(WEBHOOK) == hooks.add(replace(WEBHOOK, url="https://other/"))
    hooks.enqueue("job-1", 1, False, [delivery(1)])
    (taken,) = hooks.take_due(100.0, 30.0, 10)
    hooks.remove("wh-1")
    hooks.put(replace(taken, state="delivered"))
    assert hooks.delivery("msg-1") is None
    assert hooks.of_tenant(None) == []


def test_the_secret_is_made_once_and_kept_from_others(tmp_path, monkeypatch):
    monkeypatch.delenv("LACONIC_SECRET", raising=False)
    file = tmp_path / "secret"
    secret = server_secret(file)
    assert server_secret(file) == secret
    assert len(secret) >= 32
    file.chmod(0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        server_secret(file)
    monkeypatch.setenv("LACONIC_SECRET", "short")
    with pytest.raises(SecretError, match="32"):
        server_secret(file)
    monkeypatch.setenv("LACONIC_SECRET", "x" * 32)
    assert server_secret(file) == b"x" * 32


def test_several_processes_that_start_at_once_agree_on_store_and_secret(tmp_path):
    """None is in the way of another, and nothing of it is left."""
    home, begin = Home(tmp_path / "home").create(), threading.Barrier(8)
    found, errors = [], []

    def start():
        begin.wait(10)
        try:
            for number in range(20):
                leave_address(f"redis://h:{number + 1}", home)
                found.append(server_secret(home.secret))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(found)) == 1
    assert {p.name for p in home.root.iterdir()} == {"jobs", home.secret.name, home.store.name}
