"""The questions of a job, and what its record has to say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from services.datasets import DataSet, held_out, load_data
from services.decontamination import find_overlaps, summary
from services.question import Question
from services.spec.job import JobSpec

_EXAMPLES = 5


@dataclass(frozen=True)
class Notice:
    """An entry for the job's event log."""

    kind: Literal["data", "data_overlap"]
    message: str
    data: dict[str, Any]
    level: Literal["info", "warning"]


@dataclass(frozen=True)
class JobData:
    """Questions to train on and to evaluate with."""

    questions: list[Question]
    held_out: list[Question]
    """Empty without evaluation."""
    notices: list[Notice]


def load_job_data(spec: JobSpec) -> JobData:
    """Read the data sets of a job, and look for held-out questions in the training data.

    Takes seconds for large sets.

    Raises:
        DataError: one of them cannot be used.
    """
    train = load_data(spec.data)
    wanted = held_out(spec)
    evaluation = None
    if wanted is not None and spec.evaluation is not None:
        evaluation = load_data(wanted, spec.evaluation.questions)
    asked = evaluation.questions if evaluation else []
    notices = [_data_notice(train, evaluation), *_overlap_notices(train.questions, asked)]
    return JobData(train.questions, asked, notices)


def _overlap_notices(train: Sequence[Question], asked: Sequence[Question]) -> list[Notice]:
    """A warning if held-out questions stand in the training data."""
    found = find_overlaps(train, asked)
    if not found:
        return []
    first = found[0]
    same = {o.held_out_id for o in found if o.kind == "same"}
    concerned = {o.held_out_id for o in found}
    return [
        Notice(
            "data_overlap",
            f"evaluation: {summary(found, len(asked))}, e.g. {first.held_out_id!r} in "
            f"{first.train_id!r}; laconic data check lists them",
            {
                "questions": len(asked),
                "overlapping": len(concerned),
                "same": len(same),
                "examples": [asdict(o) for o in found[:_EXAMPLES]],
            },
            "warning",
        )
    ]


def _data_notice(train: DataSet, evaluation: DataSet | None) -> Notice:
    message = "training on " + _described(train)
    if evaluation is not None:
        message += ", evaluation on " + _described(evaluation)
    sets = [train] if evaluation is None else [train, evaluation]
    record = {"train": train.record, "evaluation": evaluation.record if evaluation else None}
    unpinned = any(s.pinned is False for s in sets)
    return Notice("data", message, record, "warning" if unpinned else "info")


def _described(data: DataSet) -> str:
    note = " (not the pinned content)" if data.pinned is False else ""
    return f"{len(data.questions)} questions of {data.path}{note}"
