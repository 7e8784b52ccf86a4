"""Headless Chromium before the real control plane of the folder above."""

from __future__ import annotations

import pytest

from tests.browser import Reader, headless_chromium
from tests.integration.api.page.recorded_run import RecordedRun


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as running:
        yield running


@pytest.fixture
def reader_with(plane, browser):
    """Make readers; each is checked when the test has ended."""
    made = []

    def make(**options) -> Reader:
        made.append(Reader.before(plane.url, browser, **options))
        return made[-1]

    yield make
    for reader in made:
        reader.check()
        reader.page.context.close()


@pytest.fixture
def reader(reader_with) -> Reader:
    return reader_with()


@pytest.fixture
def run(plane) -> RecordedRun:
    """A job in its first stage, not one step done."""
    return RecordedRun(plane, plane.running()).begin()
