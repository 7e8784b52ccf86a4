"""What all tests share: a marker and a time limit by the folder a test is in."""

from __future__ import annotations

from pathlib import Path

import pytest

TIME_LIMITS = {"unit": 60, "integration": 300, "e2e": 1200}
"""Seconds a test of each folder may take, unless it carries a ``timeout`` marker of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        layer = item.path.relative_to(here).parts[0]
        if layer not in TIME_LIMITS:
            raise pytest.UsageError(
                f"{item.path}: tests belong under tests/{{{','.join(TIME_LIMITS)}}}"
            )
        item.add_marker(layer)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_LIMITS[layer]))
