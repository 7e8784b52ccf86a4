"""One machine for all tests of restarts: what it has imported, they need not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.restarts.machine import Machine


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("machine")) as found:
        yield found
