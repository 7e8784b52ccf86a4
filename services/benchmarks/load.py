"""A benchmark by name: found in a local folder or on the hub, and held to its pinned content."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from services.benchmarks import hub
from services.benchmarks.content import content_hash, in_order
from services.benchmarks.registry import BenchmarkEntry, UnknownBenchmark, entry_of
from services.builtin import BENCHMARK_PREFIX
from services.data_error import DataError
from services.question import Question
from services.question_columns import Columns, has, read_questions
from services.row_files import read_rows

VARIABLE: Final = "LACONIC_DATA"
"""Environment variable with the folder of local files."""
SUFFIXES: Final = (".jsonl", ".parquet", ".json")
"""Of local files, in the order they are looked for."""


@dataclass(frozen=True)
class Benchmark:
    """The questions of a benchmark and where they come from."""

    name: str
    questions: tuple[Question, ...]
    """In the order of their content, which is the same from every source."""
    variant: str
    source: str
    """The local file, or repository and file on the hub."""
    sha256: str
    """Content hash of ``questions``."""
    revision: str | None
    """Commit of the repository on the hub; None for a local file."""
    pinned: bool
    """Whether the content is the one the registry names; else it was accepted knowingly, or the
    registry names none."""


@dataclass(frozen=True)
class Located:
    """A file of a benchmark."""

    file: Path
    source: str
    revision: str | None = None


def data_folder(folder: Path | None = None) -> Path | None:
    """The folder of local files: the one given, else ``LACONIC_DATA``, else none."""
    if folder is not None:
        return folder.expanduser()
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None


def fix_data_folder() -> None:
    """Make ``LACONIC_DATA`` absolute for the processes started from here on, in other folders."""
    if place := data_folder():
        os.environ[VARIABLE] = str(place.absolute())


def load_benchmark(
    name: str,
    folder: Path | None = None,
    *,
    allow_other_content: bool = False,
    revision: str | None = None,
) -> Benchmark:
    """Return a benchmark.

    Args:
        name: as in the registry.
        folder: where ``<name>.jsonl``, ``.parquet`` or ``.json`` is looked for first; None takes
            ``LACONIC_DATA``.
        allow_other_content: take questions other than the pinned ones, marked as not pinned.
        revision: commit of the hub to take where the registry pins none; None takes the newest.

    Raises:
        DataError: there is no such benchmark, it is nowhere to be had, a row is not usable, or
            its content is not the pinned one.
    """
    try:
        entry = entry_of(name)
    except UnknownBenchmark as error:
        raise DataError(BENCHMARK_PREFIX + name, "no such benchmark", str(error)) from error
    if revision is not None:
        copies = tuple(replace(c, revision=c.revision or revision) for c in entry.hub)
        entry = replace(entry, hub=copies)
    found = find_local(entry, folder) or _from_hub(entry, folder)
    benchmark = read_benchmark(entry, found)
    if not allow_other_content:
        _hold_to_pin(entry, benchmark)
    return benchmark


def read_benchmark(entry: BenchmarkEntry, found: Located) -> Benchmark:
    """Read a file as a benchmark, whatever questions it holds.

    Raises:
        DataError: it cannot be read as one.
    """
    questions = in_order(read_questions(found.file, _layout(entry, found.file), name=entry.name))
    sha256 = content_hash(questions)
    return Benchmark(
        name=entry.name,
        questions=tuple(questions),
        variant=entry.variant,
        source=found.source,
        sha256=sha256,
        revision=found.revision,
        pinned=sha256 == entry.sha256,
    )


def find_local(entry: BenchmarkEntry, folder: Path | None = None) -> Located | None:
    """Return the local file of a benchmark, if there is one."""
    place = data_folder(folder)
    if place is None:
        return None
    files = [place / (entry.name + suffix) for suffix in SUFFIXES]
    return next((Located(file, str(file)) for file in files if file.exists()), None)


def find_cached(entry: BenchmarkEntry) -> Located | None:
    """Return the file of a benchmark in the cache of the hub's client, if it is there."""
    for copy in entry.hub:
        if fetched := hub.cached(copy):
            return _of_hub(copy.repo, fetched)
    return None


def _from_hub(entry: BenchmarkEntry, folder: Path | None) -> Located:
    if found := find_cached(entry):
        return found
    reasons = []
    for copy in entry.hub:
        try:
            return _of_hub(copy.repo, hub.download(copy))
        except hub.HubError as error:
            reasons.append(f"{copy.repo} on the Hugging Face hub: {error}")
    place = data_folder(folder)
    where = f"{place}/{entry.name}.jsonl" if place else f"a folder that {VARIABLE} names"
    copy = entry.hub[0]
    target = f"{place or '$' + VARIABLE}/{entry.name}.jsonl (or .parquet, .json)"
    raise DataError(
        BENCHMARK_PREFIX + entry.name,
        f"{entry.title} is not here: not in {where}; " + "; ".join(reasons),
        f"download it (hf download {copy.repo} --repo-type dataset --include '{copy.files}'), "
        f"or put the file at {target}",
    )


def _of_hub(repo: str, fetched: hub.Fetched) -> Located:
    return Located(fetched.file, f"{repo}: {fetched.file.name}", fetched.revision)


def _layout(entry: BenchmarkEntry, file: Path) -> Columns:
    """The columns a file has, by its first row; ids, tolerances and units may be left out."""
    row = next(read_rows(file), None)
    if row is None:
        raise DataError(file, "the data set is empty", f"put the {entry.rows} questions there")
    for columns in entry.layouts:
        if has(row.values, columns.question) and has(row.values, columns.answer):
            return replace(
                columns,
                id=columns.id if has(row.values, columns.id or "") else None,
                tolerance=columns.tolerance if has(row.values, columns.tolerance or "") else None,
                unit=columns.unit if has(row.values, columns.unit or "") else None,
            )
    known = " or ".join(f"{c.question!r} and {c.answer!r}" for c in entry.layouts)
    missing = next((c for c in _named(entry) if not has(row.values, c)), None)
    raise row.error(
        f"the column {missing!r} is missing; {entry.title} needs {known}",
        f"rename the columns (the row has {', '.join(map(repr, list(row.values)[:8]))})",
        missing,
    )


def _named(entry: BenchmarkEntry) -> list[str]:
    return [name for c in entry.layouts for name in (c.question, c.answer)]


def fits(entry: BenchmarkEntry, benchmark: Benchmark) -> bool:
    """Whether the content is the pinned one, or where none is pinned has as many questions."""
    return benchmark.pinned or (entry.sha256 is None and len(benchmark.questions) == entry.rows)


def _hold_to_pin(entry: BenchmarkEntry, benchmark: Benchmark) -> None:
    if fits(entry, benchmark):
        return
    rows = len(benchmark.questions)
    counted = f"{rows} questions, expected {entry.rows}; " if rows != entry.rows else ""
    pin = f"the pinned one {entry.sha256}" if entry.sha256 else "and none is pinned"
    raise DataError(
        benchmark.source,
        f"not the questions that {BENCHMARK_PREFIX}{entry.name} stands for ({counted}content hash "
        f"{benchmark.sha256}, {pin})",
        f"take {entry.variant} as in {entry.origin}, or accept this content knowingly with "
        "allow_other_content: results then say that it is not pinned",
    )
