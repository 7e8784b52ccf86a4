"""Connections to a SQLite job store: one for each thread, and none crosses a fork."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.stores.protocol import StoreUnavailable
from services.stores.sqlite_schema import connect, prepare
from services.stores.sqlite_transaction import transaction


class Connections:
    """Hands out the calling thread's connection, for reading or within a write transaction."""

    def __init__(self, path: Path) -> None:
        """Open or create the database.

        Raises:
            UnknownLayout: a newer version of Laconic wrote it.
            StoreUnavailable: the file cannot be opened or is no database.
        """
        self._path = path
        with self._said():
            prepare(path)
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from. What SQLite raises becomes :class:`StoreUnavailable`."""
        with self._said():
            yield self._mine()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; an error takes all of it back.
        What SQLite raises becomes :class:`StoreUnavailable`."""
        with self._said(), transaction(self._mine()) as db:
            yield db

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._all:
            self._all.pop().close()

    def _mine(self) -> sqlite3.Connection:
        if getattr(self._local, "owner", None) != os.getpid():
            self._local.connection = connect(self._path)
            self._local.owner = os.getpid()
            self._all.append(self._local.connection)
        connection: sqlite3.Connection = self._local.connection
        return connection

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the job store {self._path} failed: {error}") from error
