"""The journal of a driver on a real Redis server that is stopped, and where answers get lost."""

from __future__ import annotations

import threading
import time

import pytest

from services.journal.store_journal import StoreJournal
from services.presets.registry import resolve
from services.stores.journal_mark import JournalMark
from services.stores.protocol import StaleAttempt, StoreUnavailable
from services.stores.redis import RedisJobStore
from services.stores.redis_address import RedisAddress
from tests.integration.stores.lossy_proxy import LossyProxy
from tests.integration.stores.redis_server import RedisServer

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def server(tmp_path):
    found = RedisServer(tmp_path / "redis", *ALWAYS).start()
    yield found
    found.stop()


@pytest.fixture
def store(server):
    return RedisJobStore(RedisAddress.parse(server.url, {}), patience=60)


@pytest.fixture
def job(store):
    job = store.create_job(resolve("tiny-cpu"), None)
    store.set_state(job.id, "starting", attempt=1)
    store.set_state(job.id, "running", attempt=1)
    return job.id


def journal_of(store, tmp_path, job, attempt=1, **settings):
    return StoreJournal(store, tmp_path / "spool", job, attempt, **settings)


def step(journal, n):
    journal.metrics(n, {"n": n})
    journal.event("note", f"step {n}", data={"n": n})
    journal.heartbeat({"step": n})


def notes(store, job):
    events = store.events(job, limit=1000)
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    return [e.message for e in events if e.type == "note"]


def said(first, last):
    return [f"step {n}" for n in range(first, last + 1)]


def flushed(journal, seconds=60):
    deadline = time.monotonic() + seconds
    while len(journal._spool):
        assert time.monotonic() < deadline
        journal.flush()
        time.sleep(0.05)


def test_a_driver_goes_on_without_its_store_and_tells_of_it_afterwards(
    server, store, tmp_path, job
):
    journal = journal_of(store, tmp_path, job)
    step(journal, 1)
    server.kill()
    began = time.monotonic()
    for n in range(2, 40):
        step(journal, n)
        assert journal.commands(0) == []
    assert time.monotonic() - began < 20
    gone = time.time()
    server.start()
    flushed(journal)
    step(journal, 40)
    assert notes(store, job) == said(1, 40)
    assert [m["n"] for m in store.metrics(job)] == list(range(1, 41))
    assert list((tmp_path / "spool").iterdir()) == []
    assert store.get_job(job).progress == {"step": 40}
    # An event has the time at which it happened.
    times = {e.message: e.time for e in store.events(job, limit=1000)}
    assert times["step 39"] < gone
    store.send_command(job, "pause", {})
    assert [c.kind for c in journal.commands(0)] == ["pause"]


def test_an_answer_that_gets_lost_doubles_nothing(server, store, tmp_path, job):
    """However long ago it was: the mark stays with the job, no token is needed."""
    proxy = LossyProxy(server.port)
    through = RedisJobStore(RedisAddress.parse(f"redis://127.0.0.1:{proxy.port}/0", {}), patience=1)
    journal = journal_of(through, tmp_path, job)
    for n in range(1, 6):
        proxy.lose(50)  # of this call and all its repetitions
        step(journal, n)
        proxy.lose(0)
        for key in store._calls.ask(lambda c: list(c.scan_iter("*done:*"))):
            store._calls.ask(lambda c, key=key: c.delete(key))
    flushed(journal)
    proxy.close()
    assert proxy.lost > 0
    assert notes(store, job) == said(1, 5)
    assert [m["n"] for m in store.metrics(job)] == [1, 2, 3, 4, 5]


def test_an_attempt_killed_meanwhile_leaves_what_its_checkpoint_holds(server, store, tmp_path, job):
    journal = journal_of(store, tmp_path, job)
    step(journal, 1)
    server.kill()
    for n in (2, 3):
        step(journal, n)
    held = journal.newest
    step(journal, 4)  # after the checkpoint: it is trained again
    server.start()
    store.set_state(job, "failed", attempt=1)
    store.begin_attempt(job)
    store.set_state(job, "starting", attempt=2)
    following = journal_of(store, tmp_path, job, 2)
    following.take_over(lambda entry: entry.mark <= held)
    flushed(following)
    step(following, 4)
    assert notes(store, job) == said(1, 4)
    assert [(m["n"], m["attempt"]) for m in store.metrics(job)] == [(1, 1), (2, 2), (3, 2), (4, 2)]
    step(following, 5)
    # The first one, were it still there, can write nothing.
    with pytest.raises(StaleAttempt):
        flushed(journal)
    assert notes(store, job) == said(1, 5)


def test_what_was_left_is_written_before_anything_else(server, store, tmp_path, job):
    """An attempt that ends before it has taken over says nothing, so that the next one may."""
    journal = journal_of(store, tmp_path, job)
    server.kill()
    step(journal, 1)
    server.start()
    for attempt in (1, 2):
        store.set_state(job, "failed", attempt=attempt)
        store.begin_attempt(job)
        following = journal_of(store, tmp_path, job, attempt + 1)
        if attempt == 1:
            following.event("note", "too early")
    following.take_over(lambda _: True)
    step(following, 2)
    assert notes(store, job) == said(1, 2)


def test_one_killed_while_it_hands_in_doubles_nothing(server, store, tmp_path, job):
    journal = journal_of(store, tmp_path, job)
    server.kill()
    for n in range(1, 6):
        step(journal, n)
    server.start()
    # It got as far as the third note when it was killed; the file holds everything.
    for entry in list(journal._spool._waiting)[:6]:
        journal._put(entry[0])
    store.set_state(job, "failed", attempt=1)
    store.begin_attempt(job)
    following = journal_of(store, tmp_path, job, 2)
    following.take_over(lambda _: True)
    flushed(following)
    assert notes(store, job) == said(1, 5)
    assert [(m["n"], m["attempt"]) for m in store.metrics(job)] == [
        *((1, 1), (2, 1), (3, 1), (4, 2), (5, 2)),
    ]


def test_a_driver_whose_spool_is_full_waits_for_the_store(server, store, tmp_path, job):
    journal = journal_of(store, tmp_path, job, limit=2000, patience=60)
    server.kill()
    timer = threading.Timer(4, server.start)
    timer.start()
    began = time.monotonic()
    for n in range(1, 31):
        step(journal, n)
    timer.join()
    assert time.monotonic() - began > 3
    flushed(journal)
    assert notes(store, job) == said(1, 30)


def test_a_store_that_stays_away_is_given_up(server, store, tmp_path, job):
    journal = journal_of(store, tmp_path, job, limit=0, patience=1)
    server.kill()
    with pytest.raises(StoreUnavailable, match="waited 1 s"):
        step(journal, 1)


def test_a_job_that_was_closed_meanwhile_ends_its_driver(server, store, tmp_path, job):
    journal = journal_of(store, tmp_path, job)
    server.kill()
    step(journal, 1)
    server.start()
    store.set_state(job, "failed", attempt=None)
    with pytest.raises(StaleAttempt, match="must stop"):
        flushed(journal)
    assert notes(store, job) == []
    assert journal.newest == JournalMark(1, 2)
