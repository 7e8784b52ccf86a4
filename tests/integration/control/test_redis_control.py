"""What a control plane remembers, on a Redis server: answers that get lost, a server that is away,
and what there is to read for whoever reads all of it."""

from __future__ import annotations

import time

import pytest
import redis

from services.control.api_keys import make_key
from services.control.audit import first_broken
from services.control.idempotency import KEEP_SECONDS, Answer
from services.control.redis_idempotency import RedisIdempotency
from services.control.redis_presence import RedisPresence
from services.control.redis_script import CONTROL
from services.control.stores import open_control
from services.home import Home
from services.stores.layout import UnknownLayout
from services.stores.open import open_store
from services.stores.protocol import StoreUnavailable
from services.stores.redis_address import RedisAddress
from services.stores.redis_calls import RedisCalls
from tests.integration.control.conftest import open_at
from tests.integration.control.samples import WEBHOOK, delivery, entry
from tests.integration.stores.conftest import Place, new_place
from tests.integration.stores.lossy_proxy import LossyProxy
from tests.integration.stores.redis_server import RedisServer
from tests.integration.waiting import wait_until


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path).create()


@pytest.fixture
def place(redis_server, tmp_path):
    return new_place("redis", redis_server, tmp_path)


def calls_to(place, patience=10.0):
    return RedisCalls(RedisAddress.parse(place.url, {}), patience, CONTROL)


def test_nothing_is_kept_in_the_home_folder(place, home):
    control = open_at(Place(place.url, home.root))
    control.keys.add(make_key(b"s" * 32, name="ci", scopes={"admin"}, now=1.0)[0])
    control.idempotency.begin("a", "k", "p", 1.0)
    control.audit.append(entry())
    control.webhooks.add(WEBHOOK)
    assert sorted(p.name for p in home.root.iterdir()) == ["jobs"]


def test_all_keys_have_the_prefix_of_the_store(place, control):
    control.keys.add(make_key(b"s" * 32, name="ci", scopes={"admin"}, now=1.0)[0])
    control.idempotency.begin("a", "k", "p", 1.0)
    control.audit.append(entry())
    control.webhooks.enqueue("job-1", 1, False, [delivery(1)])
    address = RedisAddress.parse(place.url, {})
    with redis.Redis(port=address.port, decode_responses=True) as client:
        mine = list(client.scan_iter(f"{address.prefix}control:*"))
        tokens = list(client.scan_iter(f"{address.prefix}done:*"))
        assert len(mine) > 8
        assert all(0 < client.ttl(key) <= 200 for key in tokens)


def test_jobs_and_all_else_share_a_server_and_a_layout(place, home):
    store = open_store(place.url, home)
    open_control(home, place.url)
    store._calls.ask(lambda client: client.set(f"{store._calls.prefix}layout", 999))
    with pytest.raises(UnknownLayout, match="upgrade"):
        open_control(home, place.url)


def test_what_was_done_before_the_answer_got_lost_is_not_done_again(tmp_path, home):
    server = RedisServer(tmp_path / "redis").start()
    lossy = LossyProxy(server.port)
    try:
        control = open_control(home, f"redis://127.0.0.1:{lossy.port}/0")
        sure = open_control(home, server.url)
        key, _ = make_key(b"s" * 32, name="ci", scopes={"admin"}, now=1.0)
        # Redis learns the script, and the process says that it lives.
        control.idempotency.begin("a", "first", "p", 1.0)
        lossy.lose(1)
        assert control.keys.add(key)
        lossy.lose(1)
        assert control.idempotency.begin("a", "k", "p", 1.0).kind == "act"
        lossy.lose(1)
        control.idempotency.finish("a", "k", Answer(200, {}, b"x"))
        assert sure.idempotency.begin("a", "k", "p", 1.0).kind == "replay"
        for _ in range(3):
            lossy.lose(1)
            control.audit.append(entry())
        assert [r.id for r in sure.audit.records()] == [1, 2, 3]
        assert first_broken(sure.audit.records()) is None
        control.webhooks.add(WEBHOOK)
        lossy.lose(1)
        control.webhooks.enqueue("job-1", 1, False, [delivery(1)])
        lossy.lose(1)
        assert [d.id for d in control.webhooks.take_due(99.0, 60.0, 9)] == ["msg-1"]
        assert lossy.lost == 8
        sure.idempotency.leave()
        control.idempotency.leave()
    finally:
        lossy.close()
        server.stop()


def test_everything_outlives_the_server(tmp_path, home):
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    try:
        control = open_control(home, server.url)
        key, _ = make_key(b"s" * 32, name="ci", scopes={"admin"}, now=1.0)
        control.keys.add(key)
        control.idempotency.begin("a", "k", "p", 1.0)
        control.idempotency.finish("a", "k", Answer(200, {"a": "b"}, b"x"))
        record = control.audit.append(entry())
        control.webhooks.add(WEBHOOK)
        control.webhooks.enqueue("job-1", 3, False, [delivery(1)])
        server.kill()
        server.start()
        assert control.keys.all() == [key]
        assert control.idempotency.begin("a", "k", "p", 2.0).answer == Answer(200, {"a": "b"}, b"x")
        assert control.audit.records() == [record]
        assert control.audit.append(entry()).id == 2
        assert first_broken(control.audit.records()) is None
        assert control.webhooks.take_due(99.0, 1.0, 9) == [delivery(1)]
        control.idempotency.leave()
    finally:
        server.stop()


def test_a_server_that_is_away_is_waited_for_once(tmp_path, home):
    """One request makes several calls: it is not answered after the sum of their patience."""
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes").start()
    try:
        control = open_control(home, server.url, patience=2.0)
        server.kill()
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            control.keys.any()
        waited = time.monotonic() - started
        assert 0.5 < waited < 20
        started = time.monotonic()
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                control.audit.append(entry())
        assert time.monotonic() - started < waited / 2
        server.start()
        assert control.audit.append(entry()).id == 1
        # From then on it is waited for again.
        server.kill()
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            control.keys.any()
        assert time.monotonic() - started > 0.5
    finally:
        server.stop()


def test_one_that_lives_is_not_taken_for_dead_and_one_that_is_silent_is(place):
    lively = RedisIdempotency(calls_to(place), present_seconds=0.4)
    other = RedisIdempotency(calls_to(place), present_seconds=0.4)
    lively.begin("a", "k", "p", 1.0)
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        assert other.begin("a", "k", "p", 2.0).kind == "in_flight"
        time.sleep(0.05)
    # As if its process had been stopped: it says nothing, nor that it goes.
    lively._presence._leaving.set()
    lively._presence._thread.join(5)
    acts = lambda: other.begin("a", "k", "p", 2.0).kind == "act"  # noqa: E731
    wait_until("its silence", acts, 5, tick=0.02)
    other.leave()


def test_who_left_is_gone_at_once(place):
    calls = calls_to(place)
    presence = RedisPresence(calls, seconds=60)
    key = f"{calls.prefix}control:present:{presence.name}"
    assert calls.ask(lambda client: client.exists(key))
    presence.leave()
    assert not calls.ask(lambda client: client.exists(key))


def test_old_answers_go_by_and_by(place, control):
    store = control.idempotency
    for n in range(30):
        store.begin("a", f"old-{n}", "p", 1.0)
    for n in range(3):
        store.begin("a", f"new-{n}", "p", 2.0 + KEEP_SECONDS)
    address = RedisAddress.parse(place.url, {})
    with redis.Redis(port=address.port, decode_responses=True) as client:
        kept = set(client.scan_iter(f"{address.prefix}control:request:*"))
        assert kept == {f"{address.prefix}control:request:a:new-{n}" for n in range(3)}
        assert client.zcard(f"{address.prefix}control:requests") == 3
        # Nor does what is settled late leave anything that would not go.
        store.finish("a", "gone", Answer(200, {}, b""))
        assert set(client.scan_iter(f"{address.prefix}control:request:*")) == kept


def test_nothing_is_left_of_a_webhook_that_is_removed_but_positions(place, control):
    control.webhooks.add(WEBHOOK)
    control.webhooks.enqueue("job-1", 1, True, [delivery(n) for n in range(3)])
    control.webhooks.put(delivery(1, state="delivered"))
    control.webhooks.put(delivery(2, state="dead"))
    control.webhooks.remove("wh-1")
    address = RedisAddress.parse(place.url, {})
    with redis.Redis(port=address.port, decode_responses=True) as client:
        kept = {key.removeprefix(address.prefix) for key in client.scan_iter(f"{address.prefix}c*")}
    assert kept == {"control:positions", "control:last_delivery"}
