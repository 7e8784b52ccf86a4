"""The SQLite file of the control plane: its tables, and connections to them."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.stores.layout import UnknownLayout
from services.stores.sqlite_schema import connect, enter_wal
from services.stores.sqlite_transaction import transaction

VERSION: Final = 2
"""Layout of the tables, kept in ``PRAGMA user_version``."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scopes TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    last_used_at REAL,
    old_digest TEXT,
    old_until REAL
);
CREATE TABLE IF NOT EXISTS quotas (
    tenant TEXT PRIMARY KEY,
    jobs INTEGER,
    workers INTEGER,
    storage_bytes INTEGER
);
CREATE TABLE IF NOT EXISTS idempotency (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    resource TEXT NOT NULL,
    state TEXT NOT NULL,
    began_at REAL NOT NULL,
    status INTEGER,
    headers TEXT,
    body BLOB,
    holder TEXT NOT NULL DEFAULT '',
    first_at REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (began_at);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    entry TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_tenant ON audit (tenant, id);
CREATE TRIGGER IF NOT EXISTS audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_never_shrinks BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END;
CREATE TABLE IF NOT EXISTS webhooks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    url TEXT NOT NULL,
    topics TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at REAL NOT NULL,
    description TEXT NOT NULL,
    old_secret TEXT,
    old_until REAL,
    disabled TEXT
);
CREATE TABLE IF NOT EXISTS webhook_positions (
    job_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    closed INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS webhook_positions_open ON webhook_positions (closed);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    webhook_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at REAL NOT NULL,
    due_at REAL NOT NULL,
    status INTEGER,
    error TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due_at);
CREATE INDEX IF NOT EXISTS deliveries_of ON deliveries (webhook_id, seq);
"""


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring tables of layout 1 to this one, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    columns = connection.execute("SELECT name FROM pragma_table_info('idempotency')").fetchall()
    if "holder" not in {column["name"] for column in columns}:
        for new in ("holder TEXT NOT NULL DEFAULT ''", "first_at REAL NOT NULL DEFAULT 0"):
            connection.execute(f"ALTER TABLE idempotency ADD COLUMN {new}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


class ControlDatabase:
    """One file; each thread has its own connection, each write is one short transaction."""

    def __init__(self, path: Path) -> None:
        """Open or create it; only its owner may read it, for it holds webhook secrets.

        Raises:
            UnknownLayout: a newer version of Laconic wrote it.
            sqlite3.Error: the file cannot be opened or is no database.
        """
        self._path = path
        self.presence = path.with_name("presence")
        """Folder of the locks of those that serve."""
        self._local = threading.local()
        path.touch(mode=0o600, exist_ok=True)
        connection = connect(path)
        try:
            enter_wal(connection)
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > VERSION:
                raise UnknownLayout(
                    f"{path} has layout {found}, this Laconic knows up to {VERSION}; "
                    "upgrade Laconic or choose another home folder"
                )
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            _upgrade(connection)
        finally:
            connection.close()

    def read(self) -> sqlite3.Connection:
        """This thread's connection."""
        # SQLite connections must not cross a fork.
        if getattr(self._local, "owner", None) != os.getpid():
            self._local.connection = connect(self._path)
            self._local.owner = os.getpid()
        connection: sqlite3.Connection = self._local.connection
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction nobody else writes in."""
        with transaction(self.read()) as db:
            yield db
