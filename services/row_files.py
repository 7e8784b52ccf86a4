"""Rows of a file, JSON lines, a JSON list or parquet, with the place of each for messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from services.data_error import DataError

_BATCH = 1024
"""Rows of a parquet file decoded at a time."""


@dataclass(frozen=True)
class Row:
    """One row and where it stands."""

    file: Path
    kind: Literal["line", "row"]
    number: int
    """Counted from 1."""
    values: dict[str, Any]

    def error(self, problem: str, remedy: str, field: str | None = None) -> DataError:
        """The error that names this row."""
        return _error(self.file, self.kind, self.number, problem, remedy, field)

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


def read_rows(file: Path) -> Iterator[Row]:
    """Yield the rows of a file: parquet if it is called ``.parquet``, a list if it is called
    ``.json`` and begins with ``[``, else one JSON object a line, where blank lines are skipped.

    Raises:
        DataError: the file is missing or cannot be read, or a row that was asked for is not usable.
    """
    try:
        if file.suffix == ".parquet":
            yield from _table(file)
        elif file.suffix == ".json" and _is_list(file):
            yield from _list(file)
        else:
            yield from _lines(file)
    except FileNotFoundError as error:
        raise DataError(file, "no such file", "give the path of a JSONL or parquet file") from error
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "give the path of a readable JSONL or parquet file"
        raise DataError(file, reason, remedy) from error


def _lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            # A byte-order mark is what some editors put before UTF-8.
            text = _text(file, raw, "line", number, first=number == 1).strip()
            if text:
                yield _row(file, "line", number, _json(file, text, number))


def _is_list(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _list(file: Path) -> Iterator[Row]:
    text = _text(file, file.read_bytes(), "line", 1, first=True)
    for number, values in enumerate(_json(file, text, None), start=1):
        yield _row(file, "row", number, values)


def _table(file: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(_BATCH):
                # Cell by cell, so that one that cannot be decoded has a row.
                named = list(zip(batch.schema.names, batch.columns, strict=True))
                for index in range(batch.num_rows):
                    number += 1
                    yield Row(file, "row", number, {n: c[index].as_py() for n, c in named})
    except UnicodeDecodeError as error:
        raise _error(file, "row", number, "text that is not UTF-8", "write it again") from error
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            file, f"not a readable parquet file ({reason})", "write or fetch the file again"
        ) from error


def _text(file: Path, raw: bytes, kind: Literal["line", "row"], number: int, first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        number += raw.count(b"\n", 0, error.start)
        remedy = "save the file as UTF-8 (compressed files: unpack them)"
        raise _error(file, kind, number, "not UTF-8 text", remedy) from error


def _json(file: Path, text: str, line: int | None) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        remedy = (
            "each line must be one complete JSON object"
            if line is not None
            else "the file must be one list of JSON objects"
        )
        raise DataError(file, f"not JSON ({error})", remedy, line=line) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _row(file: Path, kind: Literal["line", "row"], number: int, values: Any) -> Row:
    if not isinstance(values, dict):
        problem = f"a JSON {kind_of(values)} instead of an object"
        raise _error(file, kind, number, problem, f"each {kind} must be one JSON object")
    return Row(file, kind, number, values)


def _error(
    file: Path,
    kind: Literal["line", "row"],
    number: int,
    problem: str,
    remedy: str,
    field: str | None = None,
) -> DataError:
    line, row = (number, None) if kind == "line" else (None, number)
    return DataError(file, problem, remedy, line=line, row=row, field=field)


def kind_of(value: Any) -> str:
    """What a value is called in a message."""
    names = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}
    number = isinstance(value, int | float)
    return names.get(type(value), "number" if number else type(value).__name__)
