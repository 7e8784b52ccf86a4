"""What a tenant has is counted and measured once for everybody who asks, and not for each."""

from __future__ import annotations

import threading
import time

import pytest

from api import storage_meter, usage
from api.storage_meter import StorageMeter
from api.usage import UsageMemory, active_usage
from services.home import Home
from services.presets.registry import resolve
from services.stores.sqlite import SqliteJobStore


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path).create()


class CountingStore(SqliteJobStore):
    """A real store that notes what it is asked for."""

    pages = 0

    def list_jobs(self, *arguments, **options):
        self.pages += 1
        return super().list_jobs(*arguments, **options)


@pytest.fixture
def store(home):
    return CountingStore(home.database)


def write(folder, name, size):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x" * size)
    return folder / name


def test_jobs_and_workers_are_read_once_a_second(store, monkeypatch):
    spec = resolve("tiny-cpu")
    for _ in range(3):
        store.create_job(spec, "tiny-cpu", tenant="a")
    store.create_job(spec, "tiny-cpu", tenant="b")
    memory = UsageMemory(store)
    assert memory.shown("a") == active_usage(store, "a") == (3, 9)
    store.pages = 0
    threads = [threading.Thread(target=memory.shown, args=("a",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.pages == 0
    store.create_job(spec, "tiny-cpu", tenant="a")
    memory.forget("a")
    assert memory.shown("a")[0] == 4, "what has begun is seen at once"
    monkeypatch.setattr(usage, "SHOWN_SECONDS", 0)
    store.create_job(spec, "tiny-cpu", tenant="a")
    assert memory.shown("a")[0] == 5


def test_storage_is_measured_by_tenant(home, store):
    spec = resolve("tiny-cpu")
    mine = store.create_job(spec, "tiny-cpu", tenant="a").id
    other = store.create_job(spec, "tiny-cpu", tenant="b").id
    file = write(home.job(mine).checkpoints, "w", 40_000)
    write(home.job(other).logs, "l", 9_000)
    write(home.promoted("a") / "short", "config.json", 5_000)
    (home.promoted("a") / "short" / "w").hardlink_to(file)
    write(home.job("job-nobody").logs, "l", 90_000)
    meter = StorageMeter(home, store)
    assert 45_000 <= meter.fresh("a") < 80_000, "a file of two names counts once"
    assert 9_000 <= meter.fresh("b") < 20_000
    assert meter.fresh("c") == 0


def test_a_measurement_that_is_old_is_renewed_behind_the_reader(home, store, monkeypatch):
    job = store.create_job(resolve("tiny-cpu"), "tiny-cpu", tenant="a").id
    meter = StorageMeter(home, store)
    assert meter.last("a") == 0
    write(home.job(job).logs, "l", 50_000)
    assert meter.last("a") == meter.fresh("a") == 0, "fresh enough"
    monkeypatch.setattr(storage_meter, "FRESH_SECONDS", 0.01)
    time.sleep(0.02)
    assert meter.last("a") == 0, "nobody waits"
    deadline = time.monotonic() + 10
    while meter.last("a") < 50_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert meter.last("a") >= 50_000
    write(home.job(job).logs, "m", 50_000)
    time.sleep(0.02)
    assert meter.fresh("a") >= 100_000, "a quota waits for the truth"
