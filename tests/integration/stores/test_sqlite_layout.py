"""SQLite files of other versions: earlier ones are upgraded, later ones refused."""

from __future__ import annotations

import json
import sqlite3

import pytest

from services.presets.registry import resolve
from services.stores.journal_mark import JournalMark
from services.stores.layout import UnknownLayout
from services.stores.listing import JobFilter
from services.stores.protocol import StoreUnavailable
from services.stores.sqlite import SqliteJobStore
from services.stores.sqlite_schema import VERSION

FIRST_LAYOUT = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    spec TEXT NOT NULL, preset TEXT, state TEXT NOT NULL, cause TEXT, attempt INTEGER NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, started_at REAL, finished_at REAL,
    heartbeat_at REAL, progress TEXT, ray_submission_id TEXT, cancel_requested_at REAL
);
CREATE INDEX jobs_by_state ON jobs (state, seq);
CREATE TABLE events (
    job_id TEXT NOT NULL, id INTEGER NOT NULL, time REAL NOT NULL, type TEXT NOT NULL,
    message TEXT NOT NULL, level TEXT NOT NULL, attempt INTEGER, data TEXT NOT NULL,
    PRIMARY KEY (job_id, id)
) WITHOUT ROWID;
CREATE TABLE metrics (
    job_id TEXT NOT NULL, step INTEGER NOT NULL, attempt INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (job_id, step)
) WITHOUT ROWID;
CREATE TABLE commands (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL, kind TEXT NOT NULL,
    data TEXT NOT NULL, taken_by INTEGER
);
CREATE INDEX commands_waiting ON commands (job_id, id) WHERE taken_by IS NULL;
PRAGMA user_version = 1;
"""
"""The tables as the first version of Laconic made them."""


@pytest.fixture
def old(tmp_path):
    """A file of the first layout with a job that runs and a command that waits."""
    path = tmp_path / "jobs.db"
    spec = resolve("tiny-cpu").model_dump_json()
    with sqlite3.connect(path) as db:
        db.executescript(FIRST_LAYOUT)
        for seq, state in enumerate(("running", "interrupted"), start=1):
            db.execute(
                "INSERT INTO jobs (id, name, spec, preset, state, attempt, created_at, updated_at,"
                " progress) VALUES (?, 'tiny-cpu', ?, 'tiny-cpu', ?, 2, 10.5, 11.5, ?)",
                (f"job-{seq}", spec, state, json.dumps({"stage": "compression"})),
            )
        db.execute("INSERT INTO events VALUES ('job-1', 1, 10.5, 'created', 'm', 'info', 1, '{}')")
        db.execute("INSERT INTO metrics VALUES ('job-1', 1, 1, '{\"step\": 1}')")
        db.execute("INSERT INTO commands (job_id, kind, data) VALUES ('job-1', 'cancel', '{}')")
        db.execute(
            "INSERT INTO commands (job_id, kind, data, taken_by) VALUES ('job-2', 'stage', '{}', 2)"
        )
    db.close()
    return path


def test_a_file_of_the_first_layout_goes_on(old):
    store = SqliteJobStore(old)
    job = store.get_job("job-1")
    assert (job.state, job.attempt, job.revision, job.tenant, job.labels) == (
        *("running", 2, 1, "default"),
        {},
    )
    assert (job.held, job.cancel_grace_seconds, job.created_at) == (None, None, 10.5)
    (event,) = store.events("job-1")
    assert (event.type, event.author, event.reason) == ("created", None, None)
    assert store.metrics("job-1") == [{"step": 1}]
    (command,) = store.take_commands("job-1", 2)
    assert (command.kind, command.author) == ("cancel", None)
    assert store.set_state("job-1", "pausing", attempt=2, author="ada").state == "pausing"
    assert store.append_event("job-1", "note", "", attempt=2, mark=JournalMark(2, 1)) > 1
    assert store.begin_attempt("job-2").attempt == 3
    assert store.take_commands("job-2", 3) == []  # an earlier version took it, for good
    assert [
        j.id for j in store.list_jobs(where=JobFilter(tenant="default", stage="compression"))[0]
    ] == ["job-1"]
    assert store.hold("x", "y", 1)


def test_the_upgraded_file_is_as_a_new_one(old, tmp_path):
    """Columns, their defaults and the indices; not their order, which no query relies on."""

    def described(path):
        SqliteJobStore(path).close()
        with sqlite3.connect(path) as db:
            tables = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            columns = {
                t: sorted(r[1:] for r in db.execute(f"PRAGMA table_info({t})")) for t in tables
            }
            indices = {r[0] for r in db.execute("SELECT sql FROM sqlite_master WHERE type='index'")}
            version = db.execute("PRAGMA user_version").fetchone()[0]
        return columns, indices, version

    fresh = described(tmp_path / "fresh.db")
    upgraded = described(old)
    assert upgraded[0] == fresh[0]
    assert {i.replace(" IF NOT EXISTS", "") for i in upgraded[1] if i} == {
        i.replace(" IF NOT EXISTS", "") for i in fresh[1] if i
    }
    assert upgraded[2] == fresh[2] == VERSION


def test_an_upgrade_that_is_cut_short_is_as_if_it_had_not_begun(old, monkeypatch):
    from services.stores import sqlite_schema

    broken = {2: (*sqlite_schema._UPGRADES[2][:3], "ALTER TABLE nothing ADD COLUMN x")}
    monkeypatch.setattr(sqlite_schema, "_UPGRADES", broken)
    with pytest.raises(StoreUnavailable, match="nothing"):
        SqliteJobStore(old)
    monkeypatch.undo()
    assert SqliteJobStore(old).get_job("job-1").state == "running"


def test_a_newer_layout_is_refused(tmp_path):
    path = tmp_path / "jobs.db"
    SqliteJobStore(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(UnknownLayout, match="upgrade"):
        SqliteJobStore(path)


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "jobs.db"
    path.write_text("these are no tables " * 100)
    with pytest.raises(StoreUnavailable, match=r"jobs\.db"):
        SqliteJobStore(path)
