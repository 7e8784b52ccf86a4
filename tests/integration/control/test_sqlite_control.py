"""The control database, where it is a SQLite file: who may read it, its layouts, its triggers."""

from __future__ import annotations

import sqlite3

import pytest

from services.control.audit import first_broken
from services.control.sqlite_database import VERSION
from services.control.stores import open_control
from services.home import Home
from services.stores.layout import UnknownLayout
from tests.integration.control.samples import entry


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def path(home):
    return home.control_database


@pytest.fixture
def control(home, monkeypatch):
    monkeypatch.delenv("LACONIC_STORE", raising=False)
    return open_control(home)


def test_the_file_is_its_owners_alone(control, path):
    for file in path.parent.glob("control.db*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_newer_layout_is_left_alone(control, home, path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UnknownLayout):
        open_control(home)


def test_a_database_of_the_first_layout_is_upgraded(control, home, path):
    with sqlite3.connect(path) as db:
        for column in ("holder", "first_at"):
            db.execute(f"ALTER TABLE idempotency DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    store = open_control(home).idempotency
    assert store.begin("a", "k", "p", 1.0).kind == "act"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_the_audit_log_cannot_be_changed(control, path):
    for number in range(5):
        control.audit.append(entry(status=200 + number, tenant="a" if number % 2 else "b"))
    records = control.audit.records()
    assert [r.id for r in records] == [1, 2, 3, 4, 5]
    assert [r.id for r in control.audit.records(after=2, tenant="a")] == [4]
    assert first_broken(records) is None
    with sqlite3.connect(path) as db:
        for statement in ("DELETE FROM audit WHERE id = 2", "UPDATE audit SET entry = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                db.execute(statement)
        # Whoever takes the triggers away is found out by the digests.
        db.execute("DROP TRIGGER audit_never_shrinks")
        db.execute("DELETE FROM audit WHERE id = 2")
    assert first_broken(control.audit.records()) == 3
