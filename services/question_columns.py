"""From rows to questions: which column holds what, and what each bad row is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.answer_forms import AnswerForm, read_answer, with_unit
from services.data_error import DataError
from services.question import Question
from services.row_files import Row, kind_of, read_rows
from services.verification.tolerance import Tolerance

_MISSING: Final = object()


@dataclass(frozen=True)
class Columns:
    """Where a question's parts stand; ``a.b`` is the field ``b`` of an object in column ``a``."""

    question: str = "question"
    answer: str = "answer"
    """A text, a number, or a list of accepted answers."""
    id: str | None = None
    """None: ``id`` where a row has one."""
    tolerance: str | None = None
    """A number, absolute, or ``{"absolute": ..., "relative": ...}``; empty for none. None:
    ``tolerance`` where a row has one."""
    unit: str | None = None
    """Unit of the answer; None where there is no such column."""
    form: AnswerForm = "plain"


def read_questions(
    file: Path, columns: Columns, limit: int | None = None, name: str | None = None
) -> list[Question]:
    """Read the questions of a file; ``limit`` takes its head.

    Args:
        name: what ids begin with where rows have none; None for the stem of the file.

    Raises:
        DataError: the file cannot be read or has no rows, or a row read is not usable.
    """
    questions: list[Question] = []
    places: dict[str, Row] = {}
    for row in read_rows(file):
        question = _question(row, columns, name or file.stem)
        first = places.setdefault(question.id, row)
        if first is not row:
            raise row.error(
                f"id {question.id!r} already stands in {first}",
                "give each row its own id, or none",
                columns.id or "id",
            )
        questions.append(question)
        if limit is not None and len(questions) >= limit:
            break
    if not questions:
        example = f'{{"{columns.question}": ..., "{columns.answer}": ...}}'
        raise DataError(file, "the data set is empty", f"write one JSON object a line: {example}")
    return questions


def _question(row: Row, columns: Columns, name: str) -> Question:
    text = cell(row.values, columns.question)
    if not isinstance(text, str) or not text.strip():
        raise row.error(
            _finding(row, columns.question),
            "put the question there as text, or name its field with question_field (the row has "
            f"{_fields(row)})",
            columns.question,
        )
    return Question(
        _id(row, columns, name), text, _gold(row, columns), _tolerance(row, columns.tolerance)
    )


def _gold(row: Row, columns: Columns) -> tuple[str, ...]:
    value = cell(row.values, columns.answer)
    listed = value if isinstance(value, list) else [value]
    gold = [read_answer(a, columns.form) for a in listed]
    if not gold or not all(gold):
        raise row.error(
            _finding(row, columns.answer),
            "put a text, a number or a list of them there, or name its field with answer_field "
            f"(the row has {_fields(row)})",
            columns.answer,
        )
    unit = cell(row.values, columns.unit) if columns.unit else None
    # An answer of several values carries its units itself.
    if isinstance(unit, str) and len(gold) == 1 and "," not in gold[0]:
        gold = [with_unit(gold[0], unit)]
    return tuple(dict.fromkeys(gold))


def _id(row: Row, columns: Columns, name: str) -> str:
    field = columns.id or "id"
    own = cell(row.values, field)
    if own is _MISSING and columns.id is not None:
        raise _missing(row, field, "id_field")
    if own is _MISSING or (own is None and columns.id is None):
        return f"{name}-{row.number}"
    if isinstance(own, bool) or not isinstance(own, str | int) or own == "":
        raise row.error(_finding(row, field), "an id is a text or a whole number", field)
    return str(own)


def _tolerance(row: Row, named: str | None) -> Tolerance | None:
    field = named or "tolerance"
    value = cell(row.values, field)
    if value is _MISSING and named is not None:
        raise _missing(row, field, "tolerance_field")
    if value is _MISSING or value is None or value == "":
        return None
    parts = value if isinstance(value, Mapping) else {"absolute": value}
    if not parts or set(parts) - {"absolute", "relative"}:
        raise _bad_tolerance(row, field, f"has the parts {sorted(map(str, parts))}")
    numbers = {part: _number(v) for part, v in parts.items() if v is not None}
    if any(v is None for v in numbers.values()):
        raise _bad_tolerance(row, field, f"is not a number ({value!r})")
    try:
        return Tolerance(**{part: v for part, v in numbers.items() if v is not None})
    except ValueError as error:
        raise _bad_tolerance(row, field, str(error)) from error


def _missing(row: Row, field: str, setting: str) -> DataError:
    remedy = f"give {setting} a field of the row, or leave it out (the row has {_fields(row)})"
    return row.error(_finding(row, field), remedy, field)


def _bad_tolerance(row: Row, field: str, problem: str) -> DataError:
    return row.error(
        f"the tolerance in {field!r} {problem}",
        'give a number from 0 on, or {"absolute": ..., "relative": ...}',
        field,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def cell(values: Mapping[str, Any], path: str) -> Any:
    """The value in a column, or at ``a.b`` the one inside; a marker of its own if there is none."""
    if path in values:
        return values[path]
    head, dot, rest = path.partition(".")
    inner = values.get(head) if dot else None
    return cell(inner, rest) if isinstance(inner, Mapping) else _MISSING


def has(values: Mapping[str, Any], path: str) -> bool:
    """Whether a row has a column."""
    return cell(values, path) is not _MISSING


def _finding(row: Row, field: str) -> str:
    value = cell(row.values, field)
    if value is _MISSING:
        return f"the field {field!r} is missing"
    empty = value is None or value == [] or (isinstance(value, str) and not value.strip())
    return f"the field {field!r} is " + ("empty" if empty else f"not usable ({kind_of(value)})")


def _fields(row: Row) -> str:
    return ", ".join(repr(k) for k in list(row.values)[:8]) or "no fields"
