"""The questions of a job, and what its record has to say about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from services.atomic_write import write_whole
from services.data_error import DataError
from services.datasets import DataSet, held_out, load_data
from services.decontamination import find_overlaps, summary
from services.gold_check import LISTED, BadGold, GoldCheck, check_with_pool, listing
from services.question import Question
from services.spec.job import JobSpec

AUDIT_SECONDS: Final = 600.0
"""Longest check of accepted answers when a job starts."""

REVISIONS: Final = "data_revisions.json"
"""In a job's folder: the commits of its benchmarks on the hub."""

_EXAMPLES = 5

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Notice:
    """An entry for the job's event log."""

    kind: Literal["data", "data_overlap", "bad_golds"]
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


def load_job_data(spec: JobSpec, kept: Path, progress: Progress) -> JobData:
    """Read the data sets of a job, check their accepted answers, and look for held-out questions
    in the training data.

    Takes seconds for large sets, and up to ``AUDIT_SECONDS`` more.

    Args:
        kept: file with what an earlier attempt found about the accepted answers of the same
            content; written by the first. So every attempt drops the same questions. Beside it
            lies the commit of each benchmark of the hub, so that every attempt has the same.
        progress: told how many of the accepted answers that need algebra are checked; may raise.

    Raises:
        DataError: a data set cannot be used, or has bad accepted answers that are refused.
    """
    revisions = _revisions(kept.with_name(REVISIONS))
    train = load_data(spec.data, revision=revisions.get(spec.data.path))
    wanted = held_out(spec)
    evaluation = None
    if wanted is not None and spec.evaluation is not None:
        asked_at = revisions.get(wanted.path)
        evaluation = load_data(wanted, spec.evaluation.questions, revision=asked_at)
    _keep_revisions(kept.with_name(REVISIONS), revisions, train, evaluation)
    asked = evaluation.questions if evaluation else []
    train_check, asked_check = _checks(spec, train, asked, kept, progress)
    refuse_bad_golds(spec, train, train_check)
    bad = {b.question_id for b in train_check.bad}
    questions = [q for q in train.questions if q.id not in bad]
    if not questions:
        raise DataError(train.source, "every accepted answer is bad", "mend the accepted answers")
    notices = [_data_notice(train, len(bad), evaluation), *_overlap_notices(questions, asked)]
    notices += _gold_notices("training", "dropped", train_check)
    notices += _gold_notices("evaluation", "asked all the same", asked_check)
    return JobData(questions, asked, notices)


def refuse_bad_golds(spec: JobSpec, train: DataSet, check: GoldCheck) -> None:
    """Raise if the training data has bad accepted answers, unless they are to be dropped.

    Raises:
        DataError: with the first ten of them.
    """
    if check.bad and spec.data.bad_golds == "refuse":
        raise DataError(
            train.source,
            f"{_counted(check)} do not verify against themselves, so that no response can be "
            f"right: {listing(check.bad)}",
            "mend them, or leave these questions out with data.bad_golds: drop",
        )


def _checks(
    spec: JobSpec, train: DataSet, asked: Sequence[Question], kept: Path, progress: Progress
) -> tuple[GoldCheck, GoldCheck]:
    """The checks of both sets, from the file if they were made of the same content before."""
    key = [_fingerprint(train.questions), _fingerprint(asked)]
    if kept.exists():
        record = json.loads(kept.read_text())
        if record["of"] == key:
            return _read(record["training"]), _read(record["evaluation"])
    checks = (
        check_with_pool(train.questions, spec.verifier, AUDIT_SECONDS, progress),
        check_with_pool(asked, spec.verifier, AUDIT_SECONDS, progress),
    )
    found = {"of": key, "training": asdict(checks[0]), "evaluation": asdict(checks[1])}
    write_whole(kept, json.dumps(found))
    return checks


def _revisions(file: Path) -> dict[str, str]:
    """The commit of each benchmark that an earlier attempt had from the hub."""
    if not file.exists():
        return {}
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _keep_revisions(file: Path, known: dict[str, str], *sets: DataSet | None) -> None:
    new = {s.path: s.revision for s in sets if s is not None and s.revision is not None}
    if merged := {**new, **known}:
        write_whole(file, json.dumps(merged, indent=1))


def _fingerprint(questions: Sequence[Question]) -> str:
    return hashlib.sha256(json.dumps([[q.id, *q.gold] for q in questions]).encode()).hexdigest()


def _read(record: dict[str, Any]) -> GoldCheck:
    bad = (BadGold(b["question_id"], tuple(b["gold"]), b["reason"]) for b in record["bad"])
    return GoldCheck(tuple(bad), record["undecided"])


def _gold_notices(use: str, done: str, check: GoldCheck) -> list[Notice]:
    """A warning if a set has accepted answers that fail against themselves."""
    if not check.bad:
        return []
    return [
        Notice(
            "bad_golds",
            f"{use}: {_counted(check)} do not verify against themselves, {done}: "
            f"{listing(check.bad)}",
            {
                "set": use,
                "count": len(check.bad),
                "undecided": check.undecided,
                "examples": [asdict(b) for b in check.bad[:LISTED]],
            },
            "warning",
        )
    ]


def _counted(check: GoldCheck) -> str:
    count = len(check.bad)
    return f"the accepted answers of {count} question" + ("s" if count > 1 else "")


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


def _data_notice(train: DataSet, dropped: int, evaluation: DataSet | None) -> Notice:
    message = "training on " + _described(train)
    if evaluation is not None:
        message += ", evaluation on " + _described(evaluation)
    sets = [train] if evaluation is None else [train, evaluation]
    record = {
        "train": train.record | {"dropped": dropped},
        "evaluation": evaluation.record if evaluation else None,
    }
    unpinned = any(s.pinned is False for s in sets)
    return Notice("data", message, record, "warning" if unpinned else "info")


def _described(data: DataSet) -> str:
    note = " (not the pinned content)" if data.pinned is False else ""
    return f"{len(data.questions)} questions of {data.path}{note}"
