"""The data set that a specification names: a file, one that ships with Laconic, or a benchmark."""

from __future__ import annotations

from services.builtin import UnknownBuiltin, resolve_path
from services.data_error import DataError
from services.question import Question
from services.question_columns import Columns, read_questions
from services.spec.job import DataSpec

__all__ = ["DataError", "Question", "load_questions"]


def load_questions(data: DataSpec, limit: int | None = None) -> list[Question]:
    """Read a data set; ``limit`` takes its head.

    Raises:
        DataError: it is missing, not UTF-8, empty or not the one its name stands for, or a row
            read is not usable.
    """
    try:
        file = resolve_path(data.path)
    except UnknownBuiltin as error:
        raise DataError(data.path, "no such data set", str(error)) from error
    columns = Columns(
        question=data.question_field,
        answer=data.answer_field,
        id=data.id_field,
        tolerance=data.tolerance_field,
    )
    return read_questions(file, columns, limit)
