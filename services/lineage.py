"""A job as one line of steps: what a fork brings along from before it, and what is set aside when a
job goes back to an earlier checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypedDict

from services.checkpoints import CheckpointStore
from services.evaluation.training_record import MIDWAY
from services.home import JobFolder
from services.stores.protocol import EventRecord

REWOUND: Final = "rewound"
"""Type of the event that says so; its data has ``step`` and ``checkpoints``."""


class Inheritance(TypedDict):
    """What the driver of a fork writes into the store before its first step."""

    records: list[Any]
    """Step records."""
    evaluations: list[dict[str, Any]]
    """Data of events."""


def brought(folder: JobFolder) -> list[Any]:
    """Step records that a fork has brought along and its driver has not written yet."""
    try:
        found: Inheritance = json.loads(folder.inheritance.read_text())
    except FileNotFoundError:
        return []
    return found["records"]


def step_to_go_back_to(events: Iterable[EventRecord]) -> int | None:
    """The step that a resume asked to go on from, where no driver has gone back to it yet."""
    step: int | None = None
    for event in events:
        if event.type == "state" and "from_step" in event.data:
            step = int(event.data["from_step"])
        elif event.type == REWOUND:
            step = None
    return step


def evaluations_of(events: Iterable[EventRecord]) -> list[dict[str, Any]]:
    """What events say of evaluations, without those of a line the job has left."""
    found: list[dict[str, Any]] = []
    for event in events:
        if event.type == "evaluation":
            found.append(event.data)
        elif event.type == REWOUND:
            found = [e for e in found if e["step"] <= event.data["step"]]
    return found


def rewind(folder: JobFolder, step: int) -> list[int]:
    """Take away what a job wrote after a step: checkpoints, evaluations with the models they are
    of, token samples. Done twice, it does the rest.

    Checkpoints that are pinned stay on disk, out of the line.

    Returns:
        The steps of the checkpoints that are gone.
    """
    gone = CheckpointStore(folder.checkpoints).forget_after(step)
    for path, record in list(_evaluations(folder)):
        if record["step"] <= step:
            continue
        if not record["label"].endswith(MIDWAY):
            shutil.rmtree(folder.model(record["label"]), ignore_errors=True)
        path.with_suffix(".parquet").unlink(missing_ok=True)
        path.unlink()
    kept = set(samples_until(folder, step))
    for sample in _samples(folder):
        if sample not in kept:
            sample.unlink()
    return gone


def made_until(folder: JobFolder, step: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The evaluations of a job up to a step, in the order of their steps: file and record."""
    found = [(path, record) for path, record in _evaluations(folder) if record["step"] <= step]
    yield from sorted(found, key=lambda pair: pair[1]["step"])


def samples_until(folder: JobFolder, step: int) -> list[Path]:
    """The token samples of a job up to a step."""
    return [p for p in _samples(folder) if int(p.stem.removeprefix("step-")) <= step]


def _evaluations(folder: JobFolder) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in folder.evaluations.glob("*.json"):
        try:
            record = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # No evaluation; reports say so.
        if isinstance(record, dict) and {"step", "label"} <= set(record):
            yield path, record


def _samples(folder: JobFolder) -> list[Path]:
    return sorted((folder.root / "analysis").glob("step-*.npz"))
