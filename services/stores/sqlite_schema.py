"""The tables of the SQLite job store and how a connection to them is opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from services.stores.layout import UnknownLayout

VERSION: Final = 3
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
    cancel_requested_at REAL,
    cancel_grace_seconds REAL,
    held TEXT,
    revision INTEGER NOT NULL DEFAULT 1,
    tenant TEXT NOT NULL DEFAULT 'default',
    labels TEXT NOT NULL DEFAULT '{}',
    journal_attempt INTEGER NOT NULL DEFAULT 0,
    journal_number INTEGER NOT NULL DEFAULT 0,
    forked_from TEXT
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, seq);
CREATE INDEX IF NOT EXISTS jobs_by_kind ON jobs (kind, seq);
CREATE INDEX IF NOT EXISTS jobs_by_kind_and_state ON jobs (kind, state, seq);
CREATE INDEX IF NOT EXISTS jobs_by_tenant ON jobs (tenant, seq);
CREATE INDEX IF NOT EXISTS jobs_by_tenant_and_state ON jobs (tenant, state, seq);
CREATE INDEX IF NOT EXISTS jobs_by_tenant_and_kind ON jobs (tenant, kind, seq);
CREATE INDEX IF NOT EXISTS jobs_by_tenant_kind_and_state ON jobs (tenant, kind, state, seq);
CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (name, seq);
CREATE INDEX IF NOT EXISTS jobs_by_creation ON jobs (created_at, seq);
CREATE INDEX IF NOT EXISTS jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS job_labels (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (key, value, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    job_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    time REAL NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    level TEXT NOT NULL,
    attempt INTEGER,
    data TEXT NOT NULL,
    author TEXT,
    reason TEXT,
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
    author TEXT,
    reason TEXT,
    taken_by INTEGER,
    unsettled INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS commands_waiting ON commands (job_id, id) WHERE taken_by IS NULL;
CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until REAL NOT NULL
);
"""

_UPGRADES: Final[dict[int, tuple[str, ...]]] = {
    2: (
        "ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'training'",
        "ALTER TABLE jobs ADD COLUMN cancel_grace_seconds REAL",
        "ALTER TABLE jobs ADD COLUMN held TEXT",
        "ALTER TABLE jobs ADD COLUMN revision INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE jobs ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default'",
        "ALTER TABLE jobs ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE events ADD COLUMN author TEXT",
        "ALTER TABLE events ADD COLUMN reason TEXT",
        "ALTER TABLE commands ADD COLUMN author TEXT",
        "ALTER TABLE commands ADD COLUMN reason TEXT",
    ),
    3: (
        "ALTER TABLE jobs ADD COLUMN journal_attempt INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN journal_number INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE commands ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN forked_from TEXT",
    ),
}
"""What turns the tables of the layout before into those of each layout; new tables need nothing."""


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
    """Create the database, or check that it is one this version can read, and upgrade it.

    Raises:
        UnknownLayout: a newer version wrote it.
        sqlite3.Error: the file cannot be opened or is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = connect(path)
    try:
        enter_wal(connection)
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
                for statement in _UPGRADES[layout]:
                    connection.execute(statement)
        for statement in _TABLES.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def enter_wal(connection: sqlite3.Connection) -> None:
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
