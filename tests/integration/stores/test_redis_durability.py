"""A Redis store whose server is killed, or whose answers get lost."""

from __future__ import annotations

import random
import threading
import time

import pytest
import redis

from services.presets.registry import resolve
from services.stores.lifecycle import STATES
from services.stores.protocol import IllegalTransition, StoreUnavailable
from services.stores.redis import RedisJobStore
from services.stores.redis_address import RedisAddress
from tests.integration.stores.lossy_proxy import LossyProxy
from tests.integration.stores.redis_server import RedisServer
from tests.integration.waiting import wait_until

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
EVERY_SECOND = ("--appendonly", "yes", "--appendfsync", "everysec")
KILLS = 4
WAIT_SECONDS = 120


@pytest.fixture
def server(tmp_path):
    found = RedisServer(tmp_path / "redis", *ALWAYS).start()
    yield found
    found.stop()


def open_at(url, patience=60.0):
    return RedisJobStore(RedisAddress.parse(url, {}), patience=patience)


def test_every_write_that_was_acknowledged_is_there_once_after_kills(server):
    """Writers go on through four kills of the server; none of them sees an error."""
    store = open_at(server.url)
    job = store.create_job(resolve("tiny-cpu"), None)
    acknowledged, errors, over = {}, [], threading.Event()

    def write(name):
        own, n = open_at(server.url), 0
        try:
            while not over.is_set():
                n += 1
                acknowledged[own.append_event(job.id, "note", f"{name}-{n}")] = f"{name}-{n}"
                own.append_metrics(job.id, 1, n, {"by": name})
                own.send_command(job.id, "stage", {"by": f"{name}-{n}"})
                time.sleep(0.01)
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        seen = len(acknowledged)
        deadline = time.monotonic() + WAIT_SECONDS
        while len(acknowledged) < seen + 15 and time.monotonic() < deadline:
            time.sleep(0.02)
        server.kill()
        server.start()
    over.set()
    for writer in writers:
        writer.join(WAIT_SECONDS)
    assert errors == []
    events = store.events(job.id, limit=100_000)
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    notes = {e.id: e.message for e in events if e.type == "note"}
    assert acknowledged.items() <= notes.items()
    assert len(set(notes.values())) == len(notes)
    assert len(acknowledged) >= 15 * KILLS
    taken = [c.data["by"] for c in store.take_commands(job.id, 1)]
    assert len(taken) == len(set(taken))
    assert sorted(taken) == sorted(
        e.data["by"] for e in events if e.type == "command" and e.data["kind"] == "stage"
    )


@pytest.mark.parametrize("settings", [ALWAYS, EVERY_SECOND], ids=["always", "everysec"])
def test_the_end_of_a_job_outlives_the_server(tmp_path, settings):
    """A killed process has handed what it wrote to the system already, with either setting, unless
    the disk is so busy that ``everysec`` puts off handing it over; only a machine that loses its
    power may lose the last second of ``everysec`` besides."""
    server = RedisServer(tmp_path / "redis", *settings).start()
    try:
        store = open_at(server.url)
        job = store.create_job(resolve("tiny-cpu"), "tiny-cpu", labels={"k": "v"})
        store.set_state(job.id, "starting", attempt=1)
        store.set_state(job.id, "running", attempt=1)
        store.append_metrics(job.id, 1, 1, {"entropy": 0.5})
        ended = store.set_state(job.id, "succeeded", attempt=1)
        with redis.Redis.from_url(server.url) as asked:
            handed_over = lambda: asked.info("persistence")["aof_buffer_length"] == 0  # noqa: E731
            wait_until("a busy disk", handed_over, WAIT_SECONDS)
        server.kill()
        server.start()
        assert store.get_job(job.id) == ended
        assert [e.data.get("to") for e in store.events(job.id)][-1] == "succeeded"
        assert store.metrics(job.id)[0]["entropy"] == 0.5
        with pytest.raises(IllegalTransition):
            store.set_state(job.id, "failed", attempt=1)
    finally:
        server.stop()


def check_whole(store):
    """What must hold of a store whatever happened: nothing is half done."""
    listed, cursor = [], None
    while True:
        page, cursor = store.list_jobs(50, cursor)
        listed += page
        if cursor is None:
            break
    assert len({j.id for j in listed}) == len(listed)
    counted = store.count_jobs()
    for state in STATES:
        in_state = [j for j in listed if j.state == state]
        assert len(in_state) == counted.get(state, 0)
        assert store.list_jobs(1000, states=[state])[0] == in_state
    for job in listed:
        events = store.events(job.id, limit=10_000)
        assert [e.id for e in events] == list(range(1, len(events) + 1))
        assert events[0].type == "created"
        states = [e.data["to"] for e in events if e.type == "state"]
        assert job.state == (states[-1] if states else "queued")
        changes = len(states) + sum(e.type == "command" for e in events)
        assert job.revision == 1 + changes
    return len(listed), sum(len(store.events(j.id, limit=10_000)) for j in listed)


def test_a_log_that_was_cut_anywhere_holds_no_half_of_a_write(tmp_path):
    """What a machine that loses its power leaves: the log ends somewhere, also within a write."""
    server = RedisServer(tmp_path / "redis", *EVERY_SECOND).start()
    store = open_at(server.url)
    for n in range(6):
        job = store.create_job(resolve("tiny-cpu"), None, labels={"n": str(n)})
        for state in ("starting", "running", "reconciling", "running")[: n + 1]:
            store.set_state(job.id, state, attempt=1)
        store.send_command(job.id, "stage", {"to": "next"})
        store.append_event(job.id, "note", "x" * 300)
    whole = check_whole(store)
    server.kill()
    (log,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
    content = log.read_bytes()
    chance = random.Random(7)
    sizes = set()
    try:
        for _ in range(8):
            log.write_bytes(content[: chance.randrange(len(content) // 4, len(content))])
            server.start()
            found = check_whole(open_at(server.url))
            assert found < whole
            sizes.add(found)
            server.kill()
    finally:
        server.stop()
    assert len(sizes) > 3


def test_a_server_that_is_away_is_waited_for_and_then_said_to_be(server):
    store = open_at(server.url, patience=1.0)
    job = store.create_job(resolve("tiny-cpu"), None)
    server.kill()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}"):
        store.get_job(job.id)
    assert time.monotonic() - started < 30
    with pytest.raises(StoreUnavailable):
        store.append_event(job.id, "note", "")
    with pytest.raises(StoreUnavailable):
        store.ping()
    server.start()
    store.ping()
    assert store.get_job(job.id) == job


@pytest.fixture
def lossy(server):
    proxy = LossyProxy(server.port)
    yield proxy
    proxy.close()


def test_what_was_done_before_the_answer_got_lost_is_not_done_again(server, lossy):
    store = open_at(f"redis://127.0.0.1:{lossy.port}/0")
    sure = open_at(server.url)
    job = store.create_job(resolve("tiny-cpu"), None)
    store.send_command(job.id, "stage", {})
    lossy.lose(1)
    made = store.create_job(resolve("tiny-cpu"), None)
    assert [j.id for j in sure.list_jobs()[0]] == [made.id, job.id]
    lossy.lose(2)
    assert store.append_event(job.id, "note", "once") == 3
    lossy.lose(1)
    command = store.send_command(job.id, "pause", {})
    lossy.lose(1)
    assert [c.kind for c in store.take_commands(job.id, 1)] == ["stage", "pause"]
    assert store.take_commands(job.id, 1) == []
    assert command == 2
    lossy.lose(1)
    assert store.set_state(job.id, "paused", attempt=1).state == "paused"
    lossy.lose(1)
    assert store.begin_attempt(job.id).attempt == 2
    for step in (1, 2, 3):
        store.append_metrics(job.id, 2, step, {})
    lossy.lose(1)
    assert store.truncate_metrics(job.id, 2, 1) == 2
    store.set_state(job.id, "cancelled", attempt=None)
    lossy.lose(1)
    assert store.remove_ended(4e9, 1) == [job.id]
    assert lossy.lost == 9
    assert [e.type for e in sure.events(made.id)] == ["created"]
    assert sure.count_jobs() == {"queued": 1}


def test_a_restarted_server_that_forgot_the_script_is_told_it_again(server):
    store = open_at(server.url)
    job = store.create_job(resolve("tiny-cpu"), None)
    store._calls.ask(lambda client: client.script_flush())
    assert store.append_event(job.id, "note", "") == 2
