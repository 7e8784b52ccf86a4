"""Which benchmarks are at hand, without fetching any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from services.benchmarks.load import find_cached, find_local, fits, read_benchmark
from services.benchmarks.registry import BENCHMARKS, BenchmarkEntry
from services.data_error import DataError

Content = Literal["pinned", "unpinned", "other", "unusable", "absent"]
"""``pinned``: the questions the registry names. ``unpinned``: it names none, the number fits.
``other``: other questions. ``unusable``: a row cannot be read. ``absent``: no file."""


@dataclass(frozen=True)
class Standing:
    """One benchmark and the copy of it that would be taken."""

    name: str
    title: str
    variant: str
    purpose: str
    rows: int
    """That the benchmark has."""
    content: Content
    source: str | None = None
    """The local file, or repository and file on the hub."""
    revision: str | None = None
    rows_found: int | None = None
    sha256: str | None = None
    note: str = ""
    """What is wrong with the copy."""


def survey(folder: Path | None = None) -> list[Standing]:
    """Read every benchmark found in the folder (None: ``LACONIC_DATA``) or in the hub's cache."""
    return [_standing(entry, folder) for entry in BENCHMARKS.values()]


def _standing(entry: BenchmarkEntry, folder: Path | None) -> Standing:
    absent = Standing(
        entry.name, entry.title, entry.variant, entry.purpose, entry.rows, content="absent"
    )
    located = find_local(entry, folder) or find_cached(entry)
    if located is None:
        return absent
    found = replace(absent, source=located.source, revision=located.revision)
    try:
        benchmark = read_benchmark(entry, located)
    except DataError as error:
        return replace(found, content="unusable", note=str(error))
    found = replace(found, rows_found=len(benchmark.questions), sha256=benchmark.sha256)
    if benchmark.pinned:
        return replace(found, content="pinned")
    if fits(entry, benchmark):
        return replace(found, content="unpinned")
    wanted = f"{entry.rows} questions" + (f" with hash {entry.sha256}" if entry.sha256 else "")
    return replace(found, content="other", note=f"expected {wanted}")
