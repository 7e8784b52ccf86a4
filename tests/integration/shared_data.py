"""Benchmark files that lie beside the repository; they are no part of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PLACE = Path(
    os.environ.get("LACONIC_SHARED_DATA", Path(__file__).resolve().parents[2] / "../shared/data")
)


def benchmark_file(name: str) -> Path:
    """The file of a benchmark; skips the test where it is not there."""
    file = _PLACE.resolve() / "benchmarks" / f"{name}.jsonl"
    if not file.exists():
        pytest.skip(f"no {file.name} in the folder that LACONIC_SHARED_DATA names")
    return file
