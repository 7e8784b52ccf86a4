"""Listings of the SQLite job store: filters, jobs created twice, revisions, older layouts, cost."""

from __future__ import annotations

import sqlite3

import pytest

from services.presets.registry import resolve
from services.stores.listing import JobFilter
from services.stores.protocol import ChangedMeanwhile
from services.stores.sqlite import SqliteJobStore
from services.stores.sqlite_listing import page
from services.stores.sqlite_schema import connect

SPEC = resolve("tiny-cpu")
LAYOUT_1 = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    spec TEXT NOT NULL, preset TEXT, state TEXT NOT NULL, cause TEXT, attempt INTEGER NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, started_at REAL, finished_at REAL,
    heartbeat_at REAL, progress TEXT, ray_submission_id TEXT, cancel_requested_at REAL
);
PRAGMA user_version = 1;
"""


@pytest.fixture
def store(tmp_path):
    return SqliteJobStore(tmp_path / "jobs.db")


def ids(store, states=None, **where):
    found, cursor = [], None
    while True:
        records, cursor = store.list_jobs(2, cursor, states, JobFilter(**where))
        found += [r.id for r in records]
        if cursor is None:
            return found


def test_every_filter_narrows_and_pages(store):
    named = SPEC.model_copy(update={"name": "other"})
    jobs = [
        store.create_job(
            named if n % 3 == 0 else SPEC,
            None,
            tenant="a" if n % 2 else "b",
            labels={"n": str(n % 4), "team": "x"} if n % 2 else {"n": str(n % 4)},
        )
        for n in range(12)
    ]
    for job in jobs[::4]:
        store.set_state(job.id, "starting", attempt=1)
        store.heartbeat(job.id, 1, {"stage": "compression.2" if job is jobs[0] else "compression"})

    def expected(*numbers):
        return [jobs[n].id for n in sorted(numbers, reverse=True)]

    assert ids(store) == expected(*range(12))
    assert ids(store, tenant="a") == expected(1, 3, 5, 7, 9, 11)
    assert ids(store, name="other") == expected(0, 3, 6, 9)
    assert ids(store, labels={"n": "1"}) == expected(1, 5, 9)
    assert ids(store, labels={"team": "x", "n": "3"}) == expected(3, 7, 11)
    assert ids(store, labels={"team": "y"}) == []
    assert ids(store, stage="compression") == expected(0, 4, 8)
    assert ids(store, stage="compress") == []
    assert ids(store, ["starting"]) == expected(0, 4, 8)
    assert ids(store, ["starting", "queued"], tenant="b") == expected(0, 2, 4, 6, 8, 10)
    assert ids(store, []) == []
    middle = jobs[6].created_at
    assert ids(store, created_before=middle) == expected(*range(6))
    assert ids(store, created_after=middle) == expected(*range(6, 12))
    assert ids(store, created_after=middle, tenant="a", labels={"n": "3"}) == expected(7, 11)
    assert ids(store, created_before=0) == []


def test_a_clock_set_back_does_not_disturb_the_order(store, monkeypatch):
    times = iter([100.0, 50.0, 120.0])
    monkeypatch.setattr("services.stores.sqlite.time.time", lambda: next(times, 200.0))
    jobs = []
    for wanted in (100.0, 50.0, 120.0):
        monkeypatch.setattr("services.stores.sqlite.time.time", lambda w=wanted: w)
        jobs.append(store.create_job(SPEC, None))
    assert [j.created_at for j in jobs] == [100.0, 100.0, 120.0]
    assert ids(store, created_before=110.0) == [jobs[1].id, jobs[0].id]


def test_a_job_is_created_once_under_an_id(store):
    first = store.create_job(SPEC, "tiny-cpu", job_id="job-0123456789", labels={"a": "1"})
    store.set_state(first.id, "starting", attempt=1)
    again = store.create_job(SPEC, "tiny-cpu", job_id="job-0123456789", labels={"a": "1"})
    assert (again.id, again.state, again.created_at) == (first.id, "starting", first.created_at)
    assert len(ids(store)) == len(ids(store, labels={"a": "1"})) == 1
    assert [e.type for e in store.events(first.id)] == ["created", "state"]


def test_what_steers_counts_as_a_revision_and_heartbeats_do_not(store):
    job = store.create_job(SPEC, None)
    store.set_state(job.id, "starting", attempt=1, expect=1)
    store.heartbeat(job.id, 1, {"step": 1})
    store.append_metrics(job.id, 1, 1, {})
    assert store.get_job(job.id).revision == 2
    store.send_command(job.id, "stage", {"to": "next"}, expect=2)
    with pytest.raises(ChangedMeanwhile):
        store.send_command(job.id, "cancel", {}, expect=2)
    with pytest.raises(ChangedMeanwhile):
        store.set_state(job.id, "failed", attempt=None, expect=2)
    assert [c.kind for c in store.take_commands(job.id, 1)] == ["stage"]
    store.set_state(job.id, "failed", attempt=1, expect=3)
    with pytest.raises(ChangedMeanwhile):
        store.begin_attempt(job.id, expect=3)
    assert store.begin_attempt(job.id, expect=4).revision == 5


def test_a_database_of_the_first_layout_is_brought_up_to_date(tmp_path):
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as db:
        db.executescript(LAYOUT_1)
        db.execute(
            "INSERT INTO jobs (id, name, spec, state, attempt, created_at, updated_at)"
            " VALUES ('job-old', 'old', ?, 'queued', 1, 1, 1)",
            (SPEC.model_dump_json(),),
        )
    db.close()
    store = SqliteJobStore(path)
    old = store.get_job("job-old")
    assert (old.tenant, old.labels, old.revision) == ("default", {}, 1)
    new = store.create_job(SPEC, None, labels={"k": "v"})
    assert ids(SqliteJobStore(path), labels={"k": "v"}) == [new.id]


FILTERS = {
    "none": (None, {}),
    "tenant": (None, {"tenant": "t0"}),
    "states": (["queued", "failed"], {}),
    "tenant and state": (["failed"], {"tenant": "t0"}),
    "name": (None, {"name": "tiny-cpu"}),
    "label": (None, {"labels": {"n": "0"}}),
    "label nobody has": (None, {"labels": {"n": "none"}}),
    "window": (None, {"created_before": 50.0}),
    "window and tenant": (None, {"created_before": 50.0, "tenant": "t0"}),
}


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Connections to stores of 100 and of 20,000 jobs."""
    found = []
    for count in (100, 20_000):
        path = tmp_path_factory.mktemp("listing") / "jobs.db"
        SqliteJobStore(path)
        db = connect(path)
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO jobs (id, name, spec, state, attempt, created_at, updated_at, tenant)"
            " VALUES (?, 'tiny-cpu', '{}', ?, 1, ?, 0, ?)",
            [
                (f"job-{n}", "failed" if n % 50 == 0 else "succeeded", n, f"t{n % 2}")
                for n in range(count)
            ],
        )
        db.executemany(
            "INSERT INTO job_labels (key, value, seq) VALUES ('n', ?, ?)",
            [(str(n % 5), n + 1) for n in range(count)],
        )
        db.execute("COMMIT")
        found.append(db)
    return found


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_costs_the_same_whatever_the_table_holds(sizes, name):
    states, where = FILTERS[name]
    work = []
    for db in sizes:
        steps = 0

        def count():
            nonlocal steps
            steps += 1
            return 0

        db.set_progress_handler(count, 1)
        page(db, 11, 2**62, states, JobFilter(**where))
        db.set_progress_handler(None, 0)
        work.append(steps)
    small, large = work
    # B-trees are a level or two deeper; a scan would be 200 times the work.
    assert large < 3 * small + 500
