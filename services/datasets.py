"""Questions with known answers, read from JSONL with errors that name the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.builtin import UnknownBuiltin, resolve_path
from services.spec.job import DataSpec


@dataclass(frozen=True)
class Question:
    """One row of a data set."""

    id: str
    """The row's ``id``, else ``<file stem>-<line number>``; unique in the file."""
    question: str
    gold: tuple[str, ...]
    """Accepted answers, at least one."""


class DataError(ValueError):
    """A data set that cannot be used: says where, what and how to put it right."""

    def __init__(
        self,
        file: Path | str,
        problem: str,
        remedy: str,
        *,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        where = str(file) + (f", line {line}" if line is not None else "")
        super().__init__(f"{where}: {problem}; {remedy}")
        self.file = str(file)
        self.line = line
        self.field = field
        self.problem = problem
        self.remedy = remedy


def load_questions(data: DataSpec, limit: int | None = None) -> list[Question]:
    """Read a data set; blank lines are skipped, ``limit`` takes the head of the file.

    Raises:
        DataError: the file is missing, not UTF-8 or empty, or a row read is not usable.
    """
    question_field, answer_field = data.question_field, data.answer_field
    try:
        file = resolve_path(data.path)
    except UnknownBuiltin as error:
        raise DataError(data.path, "no such data set", str(error)) from error
    questions: list[Question] = []
    lines_of_ids: dict[str, int] = {}
    for number, row in _rows(file):
        question = _question(file, number, row, question_field, answer_field)
        first = lines_of_ids.setdefault(question.id, number)
        if first != number:
            raise DataError(
                file,
                f"id {question.id!r} already stands in line {first}",
                "give each row its own id, or none",
                line=number,
                field="id",
            )
        questions.append(question)
        if limit is not None and len(questions) >= limit:
            break
    if not questions:
        raise DataError(
            file,
            "the data set is empty",
            f'write one JSON object a line: {{"{question_field}": ..., "{answer_field}": ...}}',
        )
    return questions


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line numbers, counted from 1, and the objects on them."""
    number = 0
    try:
        with file.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                # A byte-order mark is what some editors put before UTF-8.
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, _object(file, number, text)
    except FileNotFoundError as error:
        raise DataError(file, "no such file", "give the path of a JSONL file") from error
    except UnicodeDecodeError as error:
        raise DataError(
            file,
            "not UTF-8 text",
            "save the file as UTF-8 (compressed files: unpack them)",
            line=number,
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(file, reason, "give the path of a readable JSONL file") from error


def _object(file: Path, number: int, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(
            file, f"not JSON ({error})", "each line must be one complete JSON object", line=number
        ) from error
    if not isinstance(row, dict):
        raise DataError(
            file,
            f"a JSON {_kind(row)} instead of an object",
            "each line must be one JSON object",
            line=number,
        )
    return row


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _question(
    file: Path, number: int, row: dict[str, Any], question_field: str, answer_field: str
) -> Question:
    text = row.get(question_field)
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            file,
            _finding(row, question_field),
            f"put the question there as text, or name its field with question_field (the row has "
            f"{_fields(row)})",
            line=number,
            field=question_field,
        )
    answers = row.get(answer_field)
    listed = answers if isinstance(answers, list) else [answers]
    gold = tuple(_answer(a) for a in listed)
    if not gold or not all(gold):
        raise DataError(
            file,
            _finding(row, answer_field),
            f"put a text, a number or a list of them there, or name its field with answer_field "
            f"(the row has {_fields(row)})",
            line=number,
            field=answer_field,
        )
    own = row.get("id")
    if own is not None and (isinstance(own, bool) or not isinstance(own, str | int) or own == ""):
        raise DataError(
            file, _finding(row, "id"), "an id is a text or a whole number", line=number, field="id"
        )
    return Question(str(own) if own is not None else f"{file.stem}-{number}", text, gold)


def _answer(value: Any) -> str:
    """An accepted answer as text; empty if it is none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def _finding(row: dict[str, Any], field: str) -> str:
    if field not in row:
        return f"the field {field!r} is missing"
    value = row[field]
    empty = value is None or value == [] or (isinstance(value, str) and not value.strip())
    return f"the field {field!r} is " + ("empty" if empty else f"not usable ({_kind(value)})")


def _fields(row: dict[str, Any]) -> str:
    return ", ".join(repr(k) for k in list(row)[:8]) or "no fields"


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
