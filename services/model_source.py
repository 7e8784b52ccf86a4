"""Where a model to evaluate lies: a folder, what ships with Laconic, or what a job made."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.builtin import PREFIX, resolve_path
from services.home import Home
from services.reports.collect import BASE
from services.stores.protocol import JobNotFound, JobStore

JOB: Final = "job:"


class UnknownModel(ValueError):
    """A job has no such model; the message says which it has."""


def job_of(path: str) -> str | None:
    """The id of the job whose model a path names; None where it names none."""
    return path.removeprefix(JOB).partition("/")[0] if path.startswith(JOB) else None


def pinned(path: str, store: JobStore, home: Home) -> str:
    """Return a path of a model that means the same later, and in another folder.

    Args:
        path: a folder, ``builtin:NAME``, ``job:JOB_ID`` (its newest model) or
            ``job:JOB_ID/LABEL``.

    Raises:
        UnknownModel: the job is not there or has no such model.
    """
    if path.startswith(PREFIX):
        return path
    if path.startswith("~"):
        return path  # Whose home that is only the one who wrote it knows.
    if not path.startswith(JOB):
        return str(Path(path).absolute())
    job_id, _, label = path.removeprefix(JOB).partition("/")
    if not label:
        label = (_labels(job_id, store, home) or [BASE])[-1]
    return f"{JOB}{job_id}/{label}"


def model_folder(path: str, store: JobStore, home: Home) -> Path:
    """Return the folder a path that :func:`pinned` returned stands for.

    Raises:
        UnknownBuiltin: ``builtin:`` with an unknown name.
        UnknownModel: the job is not there or has no such model.
    """
    if not path.startswith(JOB):
        return resolve_path(path)
    job_id, _, label = path.removeprefix(JOB).partition("/")
    there = _labels(job_id, store, home)
    if label == BASE:
        return resolve_path(store.get_job(job_id).training.model.path)
    if label not in there:
        raise UnknownModel(
            f"job {job_id} has no model {label!r}; it has {', '.join([BASE, *there])}"
        )
    return home.job(job_id).model(label)


def _labels(job_id: str, store: JobStore, home: Home) -> list[str]:
    """The stages whose model the job has kept, in their order."""
    try:
        schedule = store.get_job(job_id).training.schedule
    except JobNotFound as error:
        raise UnknownModel(
            f"there is no training job {job_id!r}; laconic status lists them"
        ) from error
    folder = home.job(job_id)
    return [o.label for o in schedule if folder.model(o.label).is_dir()]
