"""How much a store keeps, by its settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.presets.registry import resolve
from services.stores.protocol import JobNotFound
from services.stores.retention import Retention
from services.stores.sqlite import SqliteJobStore

NAMES = ("LACONIC_KEEP_EVENTS", "LACONIC_KEEP_STEPS", "LACONIC_KEEP_ENDED_DAYS")


@pytest.fixture
def store(tmp_path):
    return SqliteJobStore(tmp_path / "jobs.db")


@pytest.fixture
def clock(monkeypatch):
    """The time of the store and of its retention, in seconds after a beginning."""
    now = [1e9]
    for place in ("sqlite", "sqlite_moves", "sqlite_rows", "retention"):
        monkeypatch.setattr(f"services.stores.{place}.time.time", lambda: now[0])
    return now


def test_settings_are_read_from_the_environment():
    assert Retention.from_environment({}) == Retention()
    given = dict(zip(NAMES, ("50", "7", "0.5"), strict=True))
    found = Retention.from_environment(given)
    assert (found.events_per_job, found.steps_per_job, found.ended_days) == (50, 7, 0.5)
    everything = Retention.from_environment(dict.fromkeys(NAMES, "all"))
    assert (everything.events_per_job, everything.steps_per_job, everything.ended_days) == (
        (None, None, None)
    )
    assert Retention.from_environment(dict.fromkeys(NAMES, " ")) == Retention()


@pytest.mark.parametrize("variable", NAMES)
@pytest.mark.parametrize("text", ["0", "-1", "many", "1e400"])
def test_a_setting_that_is_no_number_is_named(variable, text):
    with pytest.raises(ValueError, match=rf"{variable} must be .* not '{text}'"):
        Retention.from_environment({variable: text})


def test_whole_numbers_are_asked_for_where_they_count():
    with pytest.raises(ValueError, match="whole number"):
        Retention.from_environment({"LACONIC_KEEP_EVENTS": "1.5"})
    with pytest.raises(ValidationError):
        Retention(events_per_job=0)


def test_jobs_at_work_are_trimmed_and_those_that_have_ended_wait_for_their_day(store, clock):
    spec = resolve("tiny-cpu")
    working, ended, old = (store.create_job(spec, None).id for _ in range(3))
    for job in (working, ended, old):
        for step in range(1, 6):
            store.append_event(job, "note", "")
            store.append_metrics(job, 1, step, {})
    store.set_state(old, "cancelled", attempt=1)
    clock[0] += 86_400
    store.set_state(ended, "cancelled", attempt=1)
    clock[0] += 86_400
    retention = Retention(events_per_job=3, steps_per_job=2, ended_days=1.5)
    assert retention.apply(store) == [old]
    with pytest.raises(JobNotFound):
        store.get_job(old)
    assert [e.id for e in store.events(working)] == [4, 5, 6]
    assert [m["step"] for m in store.metrics(working)] == [4, 5]
    assert len(store.events(ended)) == 7
    retention.trim(store, ended)
    assert [e.id for e in store.events(ended)] == [5, 6, 7]
    assert retention.apply(store) == []


def test_all_keeps_everything(store, clock):
    job = store.create_job(resolve("tiny-cpu"), None).id
    store.set_state(job, "failed", attempt=1)
    clock[0] += 1e9
    keep = Retention(events_per_job=None)
    assert keep.apply(store) == []
    keep.trim(store, job)
    assert [e.id for e in store.events(job)] == [1, 2]
