"""What a control plane remembers, under several processes at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from services.control.api_keys import key_of
from services.control.audit import first_broken
from services.control.idempotency import Answer
from services.control.key_import import import_key
from tests.integration.control.conftest import open_at
from tests.integration.control.samples import WEBHOOK, delivery, entry
from tests.integration.stores.processes import WAIT_SECONDS, results_of

WRITERS = 3
KEYS = 25
TOKEN = "lk_abcd1234_" + "x" * 43


def _begin(place, results, barrier):
    store = open_at(place).idempotency
    store.begin("own", str(barrier.wait(WAIT_SECONDS)), "p", 1.0)
    barrier.wait(WAIT_SECONDS)
    results.put([store.begin("a", f"key-{n}", "p", 2.0) for n in range(KEYS)])
    # One that has ended would leave its requests to the others.
    barrier.wait(WAIT_SECONDS)


def acting(answers, number):
    """The decision of the one that acts on a key; the others must have been told to wait."""
    decisions = [answer[number] for answer in answers]
    (found,) = [d for d in decisions if d.kind == "act"]
    assert [d.kind for d in decisions].count("in_flight") == WRITERS - 1
    return found


def test_a_key_that_several_begin_is_given_to_one(place):
    answers = results_of(_begin, place, count=WRITERS)
    for number in range(KEYS):
        assert acting(answers, number).since is None


def test_a_request_that_failed_is_taken_up_by_one(place, control):
    first = {}
    for n in range(KEYS):
        first[n] = control.idempotency.begin("a", f"key-{n}", "p", 1.0).resource
        control.idempotency.reopen("a", f"key-{n}")
    answers = results_of(_begin, place, count=WRITERS)
    for number in range(KEYS):
        found = acting(answers, number)
        assert (found.resource, found.since) == (first[number], 1.0)


def test_one_of_many_threads_acts_and_the_others_get_its_answer(control):
    store, begun = control.idempotency, threading.Barrier(8)
    answer, kinds, wrong = Answer(201, {}, b"made"), [], []

    def ask():
        try:
            begun.wait(WAIT_SECONDS)
            while (decision := store.begin("a", "key", "p", 1.0)).kind == "in_flight":
                pass
            kinds.append(decision.kind)
            if decision.kind == "act":
                store.finish("a", "key", answer)
            elif decision.answer != answer:
                wrong.append(decision)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert wrong == []
    assert sorted(kinds) == ["act"] + ["replay"] * 7


def _append(place, results, barrier):
    """From several threads of each process, as requests do."""
    audit = open_at(place).audit
    mine = barrier.wait(WAIT_SECONDS)
    with ThreadPoolExecutor(4) as threads:
        entries = [entry(tenant=f"t{mine}", status=n) for n in range(40)]
        results.put([record.id for record in threads.map(audit.append, entries)])


def test_the_audit_log_of_several_writers_is_one_whole_chain(place, control):
    answers = results_of(_append, place, count=WRITERS)
    records = control.audit.records(limit=1000)
    assert [r.id for r in records] == list(range(1, 40 * WRITERS + 1))
    assert first_broken(records) is None
    assert sorted(number for answer in answers for number in answer) == [r.id for r in records]
    for own in range(WRITERS):
        mine = control.audit.records(limit=1000, tenant=f"t{own}")
        assert sorted(r.entry.status for r in mine) == list(range(40))


def _take(place, results, barrier):
    hooks = open_at(place).webhooks
    barrier.wait(WAIT_SECONDS)
    taken = []
    while found := hooks.take_due(1e9, 60.0, 3):
        taken += [d.id for d in found]
        time.sleep(0.01)
    results.put(taken)


def test_a_delivery_is_taken_once(place, control):
    control.webhooks.add(WEBHOOK)
    control.webhooks.enqueue("job-1", 1, False, [delivery(n) for n in range(90)])
    answers = results_of(_take, place, count=WRITERS)
    assert sorted(d for answer in answers for d in answer) == sorted(f"msg-{n}" for n in range(90))
    assert sum(1 for answer in answers if answer) > 1


def _enqueue(place, results, barrier):
    hooks = open_at(place).webhooks
    barrier.wait(WAIT_SECONDS)
    for n in range(30):
        hooks.enqueue("job-1", n, False, [delivery(n)])
        for taken in hooks.take_due(1e9, 60.0, 100):
            hooks.put(delivery(int(taken.id.removeprefix("msg-")), state="delivered"))
    results.put(None)


def test_an_event_that_several_read_goes_into_the_outbox_once(place, control):
    control.webhooks.add(WEBHOOK)
    results_of(_enqueue, place, count=WRITERS)
    assert control.webhooks.counts() == {"delivered": 30}
    assert len(control.webhooks.deliveries("wh-1", None, 100)) == 30


def _import(place, results, barrier):
    keys = open_at(place).keys
    key = key_of(b"s" * 32, TOKEN, name="first", scopes={"admin"}, now=1.0, tenant="a")
    barrier.wait(WAIT_SECONDS)
    results.put(import_key(keys, key))


def test_a_key_that_several_import_is_added_by_one(place, control):
    answers = results_of(_import, place, count=WRITERS)
    assert sorted(answers) == ["added"] + ["known"] * (WRITERS - 1)
    assert [key.name for key in control.keys.all()] == ["first"]
