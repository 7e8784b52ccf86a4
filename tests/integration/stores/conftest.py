"""Both backends as they are used: a SQLite file, and a real Redis server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.home import Home
from services.presets.registry import resolve
from services.stores.open import open_store
from services.stores.protocol import JobRecord, JobStore
from tests.integration.stores.redis_server import RedisServer

BACKENDS = ("sqlite", "redis")


@dataclass(frozen=True)
class Place:
    """Where a store is: enough to open it in another process."""

    url: str
    home: Path

    def open(self, patience: float = 10.0) -> JobStore:
        return open_store(self.url, Home(self.home), patience=patience)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that keeps nothing, for the tests that do not kill it."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def new_place(backend: str, server: RedisServer | None, folder: Path) -> Place:
    """An empty store; those on one server have prefixes of their own."""
    if backend == "sqlite":
        return Place(f"sqlite:///store-{secrets.token_hex(4)}.db", folder)
    assert server is not None
    return Place(f"{server.url}?prefix=test-{secrets.token_hex(6)}:", folder)


@pytest.fixture
def place(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Place:
    server = request.getfixturevalue("redis_server") if backend == "redis" else None
    return new_place(backend, server, tmp_path)


@pytest.fixture
def store(place: Place) -> Iterator[JobStore]:
    found = place.open()
    yield found
    found.close()


@pytest.fixture
def job(store: JobStore) -> JobRecord:
    return store.create_job(resolve("tiny-cpu"), "tiny-cpu")
