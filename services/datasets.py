"""The data set that a specification names: a file, one that ships with Laconic, or a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.benchmarks.content import content_hash
from services.benchmarks.load import load_benchmark
from services.builtin import BENCHMARK_PREFIX, UnknownBuiltin, resolve_path
from services.data_error import DataError
from services.question import Question
from services.question_columns import Columns, read_questions
from services.spec.job import DataSpec, JobSpec

__all__ = ["DataError", "DataSet", "Question", "held_out", "load_data", "load_questions"]


@dataclass(frozen=True)
class DataSet:
    """Questions and where they come from."""

    path: str
    """As in the specification."""
    questions: list[Question]
    source: str
    """The file, or repository and file on the hub."""
    sha256: str
    """Content hash: of a whole benchmark, else of ``questions``."""
    pinned: bool | None = None
    """Whether a benchmark's content is the pinned one; None for a file."""
    revision: str | None = None
    """Commit of the repository on the hub."""

    @property
    def record(self) -> dict[str, Any]:
        """What a job keeps of it."""
        kept = {name: getattr(self, name) for name in ("path", "source", "sha256")}
        return kept | {
            "questions": len(self.questions),
            "pinned": self.pinned,
            "revision": self.revision,
        }


def held_out(spec: JobSpec) -> DataSpec | None:
    """The data set of a job's evaluation: with the columns of the training data."""
    wanted = spec.evaluation
    if wanted is None:
        return None
    own = {"path": wanted.path, "allow_other_content": wanted.allow_other_content}
    return spec.data.model_copy(update=own)


def load_questions(data: DataSpec, limit: int | None = None) -> list[Question]:
    """Read the questions of a data set (see :func:`load_data`)."""
    return load_data(data, limit).questions


def load_data(data: DataSpec, limit: int | None = None, *, revision: str | None = None) -> DataSet:
    """Read a data set; ``limit`` takes its head, ``revision`` that commit of the hub.

    Raises:
        DataError: it is missing, not UTF-8, empty or not the one its name stands for, or a row
            read is not usable.
    """
    if data.path.startswith(BENCHMARK_PREFIX):
        found = load_benchmark(
            data.path.removeprefix(BENCHMARK_PREFIX),
            allow_other_content=data.allow_other_content,
            revision=revision,
        )
        questions = list(found.questions[:limit])
        return DataSet(
            data.path, questions, found.source, found.sha256, found.pinned, found.revision
        )
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
    questions = read_questions(file, columns, limit)
    return DataSet(data.path, questions, str(file), content_hash(questions))
