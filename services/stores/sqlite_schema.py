"""The tables of the SQLite job store and how a connection to them is opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

VERSION: Final = 2
"""Layout of the tables, kept in ``PRAGMA user_version``."""

BUSY_SECONDS: Final = 30.0
"""Longest wait for another writer before an operation fails."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL DEFAULT 'training',
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    preset TEXT,
    state TEXT NOT NULL,
    cause TEXT,
    attempt INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    heartbeat_at REAL,
    progress TEXT,
    ray_submission_id TEXT,
    cancel_requested_at REAL
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, seq);
CREATE TABLE IF NOT EXISTS events (
    job_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    time REAL NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    level TEXT NOT NULL,
    attempt INTEGER,
    data TEXT NOT NULL,
    PRIMARY KEY (job_id, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (
    job_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (job_id, step)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commands (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    taken_by INTEGER
);
CREATE INDEX IF NOT EXISTS commands_waiting ON commands (job_id, id) WHERE taken_by IS NULL;
"""

_SINCE: Final = {2: "ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'training'"}
"""What brings a database of the layout before to each later one."""


class UnknownLayout(RuntimeError):
    """The database was written by a newer version of Laconic."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection in autocommit mode; transactions are begun by hand."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    # A terminal record that a power cut takes back would run a finished job again.
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def prepare(path: Path) -> None:
    """Create the database, or check that it is one this version can read.

    Raises:
        UnknownLayout: a newer version wrote it.
        sqlite3.Error: the file cannot be opened or is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = connect(path)
    try:
        _enter_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            connection.execute("ROLLBACK")
            raise UnknownLayout(
                f"{path} has layout {found}, this Laconic knows up to {VERSION}; "
                "upgrade Laconic or choose another home folder"
            )
        if found:
            for layout in range(found + 1, VERSION + 1):
                connection.execute(_SINCE[layout])
        for statement in _TABLES.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait for others here, so this does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
