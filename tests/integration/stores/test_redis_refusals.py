"""A Redis server that answers, but refuses for a while: a replica in a failover, full memory, a
full disk, too few replicas."""

from __future__ import annotations

import threading
import time

import pytest

from services.presets.registry import resolve
from services.stores.protocol import StoreUnavailable
from services.stores.redis import RedisJobStore
from services.stores.redis_address import RedisAddress
from tests.integration.stores.redis_server import RedisServer, free_port


@pytest.fixture
def server(tmp_path):
    found = RedisServer(tmp_path / "redis").start()
    yield found
    found.stop()


def open_at(url, patience):
    return RedisJobStore(RedisAddress.parse(url, {}), patience=patience)


def replica(tell, _folder):
    tell("REPLICAOF", "127.0.0.1", str(free_port()))
    return lambda: tell("REPLICAOF", "NO", "ONE")


def full_memory(tell, _folder):
    tell("CONFIG", "SET", "maxmemory", "1")
    return lambda: tell("CONFIG", "SET", "maxmemory", "0")


def full_disk(tell, folder):
    """A folder stands where the server would save: it says that it cannot write."""
    (folder / "dump.rdb").mkdir()
    tell("CONFIG", "SET", "save", "3600 1")
    tell("BGSAVE")
    deadline = time.monotonic() + 20
    while tell("INFO", "persistence")["rdb_last_bgsave_status"] != "err":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return lambda: tell("CONFIG", "SET", "save", "")


def few_replicas(tell, _folder):
    tell("CONFIG", "SET", "min-replicas-to-write", "1")
    return lambda: tell("CONFIG", "SET", "min-replicas-to-write", "0")


REFUSALS = {
    "READONLY": replica,
    "OOM": full_memory,
    "MISCONF": full_disk,
    "NOREPLICAS": few_replicas,
}


@pytest.mark.parametrize("word", REFUSALS)
def test_a_server_that_refuses_for_a_while_is_waited_for(server, tmp_path, word):
    store, hasty = open_at(server.url, 60), open_at(server.url, 0.3)
    job = store.create_job(resolve("tiny-cpu"), None)
    store.set_state(job.id, "starting", attempt=1)

    def tell(*command):
        return store._calls.ask(lambda client: client.execute_command(*command))

    mend = REFUSALS[word](tell, tmp_path / "redis")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="refused"):
        hasty.append_event(job.id, "note", "lost")
    assert 0.1 < time.monotonic() - began < 5
    timer = threading.Timer(1.5, mend)
    timer.start()
    began = time.monotonic()
    assert store.append_event(job.id, "note", "waited") == 3
    assert time.monotonic() - began > 1
    timer.join()
    store.set_state(job.id, "running", attempt=1)
    assert [e.message for e in store.events(job.id, after=2)] == ["waited", "running"]


def test_what_will_not_pass_is_said_at_once(server):
    store = open_at(server.url, 60)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="refused"):
        store._calls.ask(lambda client: client.execute_command("NO-SUCH-COMMAND"))
    assert time.monotonic() - began < 5
