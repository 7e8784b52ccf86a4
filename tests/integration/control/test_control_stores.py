"""What a control plane remembers besides its jobs: the same tests for SQLite and for Redis."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from services.control.api_keys import BadToken, key_of, make_key, rotate
from services.control.audit import GENESIS, digest, first_broken
from services.control.idempotency import KEEP_SECONDS, LEASE_SECONDS, Answer
from services.control.key_import import import_key
from services.control.quotas import Quota
from services.control.redis_presence import PRESENT_SECONDS
from tests.integration.control.conftest import open_at
from tests.integration.control.samples import WEBHOOK, delivery, entry
from tests.integration.waiting import wait_until

SECRET = b"s" * 32
TOKEN = "lk_abcd1234_" + "x" * 43


# -- keys and quotas ------------------------------------------------------------------------------


def test_keys_come_back_as_they_were(control, place):
    assert not control.keys.any()
    key, _ = make_key(SECRET, name="ci", scopes={"jobs:read", "jobs:write"}, now=5.0, lifetime=9)
    assert control.keys.add(key)
    changed, _ = rotate(SECRET, key, now=6.123456789, overlap=1.0)
    control.keys.replace(changed)
    control.keys.touch(key.id, 1234567890.123456)
    again = open_at(place).keys
    assert again.all() == [replace(changed, last_used_at=1234567890.123456)]
    assert again.find(key.id) == again.all()[0]
    assert again.any()
    assert again.find("key-none") is None


def test_keys_are_listed_oldest_first(control):
    made = [make_key(SECRET, name=f"k{n}", scopes=(), now=n)[0] for n in (3.0, 1.0, 2.0)]
    for key in made:
        control.keys.add(key)
    assert [key.name for key in control.keys.all()] == ["k1.0", "k2.0", "k3.0"]


def test_a_change_of_a_key_leaves_when_it_was_used_and_makes_none(control):
    key, _ = make_key(SECRET, name="ci", scopes={"admin"}, now=5.0)
    control.keys.replace(key)
    assert control.keys.all() == []
    control.keys.add(key)
    control.keys.touch(key.id, 7.0)
    control.keys.replace(replace(key, revoked_at=8.0))
    assert control.keys.find(key.id) == replace(key, revoked_at=8.0, last_used_at=7.0)


def test_a_key_is_added_once(control):
    key, _ = make_key(SECRET, name="ci", scopes={"admin"}, now=5.0)
    assert control.keys.add(key)
    assert not control.keys.add(replace(key, name="other"))
    assert control.keys.all() == [key]


def test_an_imported_key_is_added_once_and_stays_what_became_of_it(control):
    keys = control.keys
    named = {"name": "ci", "scopes": {"jobs:read"}, "tenant": "a"}
    key = key_of(SECRET, TOKEN, now=5.0, **named)
    assert (key.id, TOKEN in repr(key)) == ("key-abcd1234", False)
    assert import_key(keys, key) == "added"
    assert import_key(keys, key_of(SECRET, TOKEN, now=6.0, **named)) == "known"
    assert keys.all() == [key]
    other = key_of(SECRET, TOKEN[:-1] + "y", now=7.0, **named)
    with pytest.raises(BadToken, match="another token"):
        import_key(keys, other)
    with pytest.raises(BadToken, match="another token"):
        import_key(keys, key_of(b"t" * 32, TOKEN, now=7.0, **named))
    rotated, _ = rotate(SECRET, key, now=8.0, overlap=0.0)
    keys.replace(rotated)
    assert import_key(keys, key) == "rotated"
    keys.replace(replace(rotated, revoked_at=9.0))
    assert import_key(keys, key) == "revoked"
    assert keys.all() == [replace(rotated, revoked_at=9.0)]


def test_quotas_are_set_and_taken_away(control):
    control.quotas.set_quota("b", Quota(workers=1))
    control.quotas.set_quota("a", Quota(jobs=3))
    control.quotas.set_quota("a", Quota(jobs=4, storage_bytes=10))
    assert control.quotas.quota("a") == Quota(4, None, 10)
    assert list(control.quotas.quotas()) == ["a", "b"]
    control.quotas.set_quota("a", None)
    assert control.quotas.quota("a") is None
    assert control.quotas.quotas() == {"b": Quota(workers=1)}


# -- idempotency keys -----------------------------------------------------------------------------


def test_an_answer_outlives_the_process_and_a_request_in_flight_is_taken_up(control, place):
    control.idempotency.begin("a", "done", "p", 1.0)
    answer = Answer(201, {"location": "/x"}, b"\x00\xffbody")
    control.idempotency.finish("a", "done", answer)
    first = control.idempotency.begin("a", "cut", "p", 1.0)
    again = open_at(place).idempotency
    assert again.begin("a", "cut", "p", 2.0).kind == "in_flight"
    control.idempotency.leave()
    assert again.begin("a", "done", "p", 2.0).answer == answer
    taken_up = again.begin("a", "cut", "p", 2.0)
    assert (taken_up.kind, taken_up.resource) == ("act", first.resource)
    assert again.begin("b", "done", "other", 2.0).kind == "act"
    again.leave()


def test_a_request_in_flight_is_taken_up_once_its_process_was_killed(control, place, backend):
    """By another control plane: nobody needs to start first."""
    take = (
        "import sys, time; from pathlib import Path; from services.control.stores import *;"
        "c = open_control(Home(Path(sys.argv[1])), sys.argv[2]);"
        "print(c.idempotency.begin('a', 'cut', 'p', 1.0).resource, flush=True); time.sleep(99)"
    )
    command = [sys.executable, "-c", take, str(place.home), place.url]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        resource = other.stdout.readline().strip()
        assert resource
        assert control.idempotency.begin("a", "cut", "p", 2.0).kind == "in_flight"
    finally:
        other.kill()
        other.wait(10)
    begin = lambda: control.idempotency.begin("a", "cut", "p", 2.0)  # noqa: E731
    if backend == "sqlite":
        taken_up = begin()
    else:
        # A server on another machine cannot see that a process ends, only that it is silent.
        acts = lambda: (found := begin()).kind == "act" and found  # noqa: E731
        taken_up = wait_until("its silence", acts, PRESENT_SECONDS + 5)
    assert (taken_up.kind, taken_up.resource, taken_up.since) == ("act", resource, 1.0)
    assert control.idempotency.begin("a", "cut", "p", 2.0).kind == "in_flight"


def test_a_refused_request_frees_its_key_and_a_failed_one_keeps_it(control):
    store = control.idempotency
    store.begin("a", "refused", "p", 1.0)
    store.forget("a", "refused")
    assert store.begin("a", "refused", "other", 2.0).kind == "act"
    first = store.begin("a", "failed", "p", 1.0)
    assert first.since is None
    store.reopen("a", "failed")
    assert store.begin("a", "failed", "other", 2.0).kind == "mismatch"
    again = store.begin("a", "failed", "p", 2.0)
    assert (again.kind, again.resource, again.since) == ("act", first.resource, 1.0)
    store.reopen("a", "failed")
    assert store.begin("a", "failed", "p", 3.0).since == 1.0


def test_what_is_not_answered_is_taken_up_in_time_and_an_answer_is_kept_for_its_time(control):
    store = control.idempotency
    store.begin("a", "slow", "p", 1.0)
    assert store.begin("a", "slow", "p", 1.0 + LEASE_SECONDS).kind == "in_flight"
    assert store.begin("a", "slow", "p", 1.1 + LEASE_SECONDS).kind == "act"
    assert store.begin("a", "slow", "p", 1.2 + LEASE_SECONDS).kind == "in_flight"
    store.begin("a", "old", "p", 1.0)
    store.finish("a", "old", Answer(200, {}, b""))
    assert store.begin("a", "old", "p", 1.0 + KEEP_SECONDS).kind == "replay"
    fresh = store.begin("a", "old", "other", 1.1 + KEEP_SECONDS)
    assert (fresh.kind, fresh.since) == ("act", None)


def test_what_is_settled_late_brings_nothing_back(control):
    store = control.idempotency
    store.finish("a", "gone", Answer(200, {}, b""))
    store.reopen("a", "gone")
    assert store.begin("a", "gone", "other", 1.0).kind == "act"


# -- the audit log --------------------------------------------------------------------------------


def test_the_audit_log_is_a_chain(control, place):
    appended = [
        control.audit.append(entry(status=200 + n, tenant="a" if n % 2 else "b", time=n / 3))
        for n in range(7)
    ]
    records = open_at(place).audit.records()
    assert records == appended
    assert [r.id for r in records] == [1, 2, 3, 4, 5, 6, 7]
    assert records[0].digest == digest(GENESIS, records[0].entry)
    assert first_broken(records) is None
    assert [r.id for r in control.audit.records(limit=2, after=3)] == [4, 5]
    assert [r.id for r in control.audit.records(after=2, tenant="a")] == [4, 6]
    assert [r.id for r in control.audit.records(limit=1, tenant="a")] == [2]
    assert control.audit.records(tenant="c") == []
    # A second writer goes on where the first one was.
    assert open_at(place).audit.append(entry()).id == 8
    assert control.audit.append(entry()).id == 9
    assert first_broken(control.audit.records()) is None


def test_a_changed_record_is_found(control):
    control.audit.append(entry())
    control.audit.append(entry(actor="other"))
    first, second = control.audit.records()
    assert first_broken([replace(first, entry=entry(actor="forged")), second]) == 1


# -- webhooks -------------------------------------------------------------------------------------


def test_webhooks_come_back_as_they_were(control, place):
    hooks = control.webhooks
    younger = replace(
        WEBHOOK, id="wh-0", tenant="b", created_at=2.5, description="é", disabled="gone"
    )
    hooks.add(younger)
    hooks.add(WEBHOOK)
    again = open_at(place).webhooks
    assert again.of_tenant(None) == [WEBHOOK, younger]
    assert again.of_tenant("b") == [younger]
    changed = replace(WEBHOOK, secret="whsec_new", old_secret="whsec_x", old_until=9.5)
    hooks.replace(changed)
    assert again.find("wh-1") == changed
    assert again.find("wh-none") is None
    hooks.replace(replace(WEBHOOK, id="wh-gone"))
    assert again.find("wh-gone") is None


def test_the_outbox_hands_each_delivery_to_one_and_takes_it_back_when_its_time_runs_out(control):
    hooks = control.webhooks
    hooks.add(WEBHOOK)
    hooks.enqueue("job-1", 4, False, [delivery(1), delivery(2), delivery(3, due_at=99.0)])
    assert hooks.take_due(20.0, 30.0, 1) == [delivery(1)]
    assert [d.id for d in hooks.take_due(20.0, 30.0, 10)] == ["msg-2"]
    assert hooks.take_due(49.0, 30.0, 10) == []
    assert hooks.delivery("msg-1").due_at == 50.0
    assert len(hooks.take_due(50.0, 30.0, 10)) == 2
    done = delivery(1, state="delivered", attempts=1, status=204)
    hooks.put(done)
    hooks.put(delivery(2, state="dead", attempts=8, error="no answer"))
    assert hooks.delivery("msg-1") == done
    assert hooks.take_due(90.0, 30.0, 10) == []
    assert hooks.counts() == {"delivered": 1, "dead": 1, "pending": 1}
    assert [d.id for d in hooks.deliveries("wh-1", None, 2)] == ["msg-3", "msg-2"]
    assert [d.id for d in hooks.deliveries("wh-1", "msg-2", 2)] == ["msg-1"]
    assert hooks.deliveries("wh-1", "msg-none", 2) == []
    assert hooks.trim(11.5) == 1
    assert hooks.delivery("msg-1") is None
    assert hooks.trim(99.0) == 1
    assert hooks.counts() == {"pending": 1}
    assert [d.id for d in hooks.deliveries("wh-1", None, 9)] == ["msg-3"]


def test_a_failed_delivery_is_due_again_and_a_dead_one_can_be_sent_again(control):
    hooks = control.webhooks
    hooks.add(WEBHOOK)
    hooks.put(delivery(1))
    (taken,) = hooks.take_due(11.0, 60.0, 10)
    failed = replace(taken, attempts=1, status=500, error="it answered 500", due_at=16.25)
    hooks.put(failed)
    assert hooks.take_due(16.0, 60.0, 10) == []
    assert hooks.take_due(16.25, 60.0, 10) == [failed]
    hooks.put(replace(failed, state="dead"))
    assert hooks.take_due(999.0, 60.0, 10) == []
    again = replace(failed, state="pending", attempts=0, status=None, error=None, due_at=20.0)
    hooks.put(again)
    assert hooks.take_due(20.0, 60.0, 10) == [again]


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
    hooks.put(delivery(1, state="delivered"))
    hooks.enqueue("job-1", 2, True, [delivery(1), delivery(2)])
    assert hooks.position("job-1") == 2
    assert hooks.open_jobs() == []
    assert [d.state for d in hooks.deliveries("wh-1", None, 10)] == ["pending", "delivered"]


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
    hooks.add(replace(WEBHOOK, id="wh-2"))
    many = [delivery(n) for n in range(1100)]
    hooks.enqueue("job-1", 1, False, [*many, delivery(9999, webhook_id="wh-2")])
    taken = hooks.take_due(9e9, 30.0, 2000)[0]
    hooks.remove("wh-1")
    hooks.put(replace(taken, state="delivered"))
    assert hooks.delivery(taken.id) is None
    assert hooks.deliveries("wh-1", None, 10) == []
    assert [w.id for w in hooks.of_tenant(None)] == ["wh-2"]
    assert hooks.counts() == {"pending": 1}
