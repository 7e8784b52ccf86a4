"""What a control plane remembers besides its jobs, on both backends of the job store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.control.stores import ControlStores, open_control
from services.home import Home
from tests.integration.stores.conftest import Place, backend, place, redis_server

__all__ = ["backend", "open_at", "place", "redis_server"]


def open_at(place: Place) -> ControlStores:
    """Open it as another process would."""
    return open_control(Home(place.home), place.url)


@pytest.fixture
def control(place: Place) -> Iterator[ControlStores]:
    found = open_at(place)
    yield found
    found.idempotency.leave()
