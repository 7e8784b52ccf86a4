"""Everything a report says, gathered from the job store and the job's folder as plain data."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.evaluation.training_record import MIDWAY
from services.home import JobFolder
from services.lineage import evaluations_of
from services.reports.comparison import EvaluationFigures, compare
from services.reports.examples import Example, choose_examples
from services.reports.machine import describe_machine
from services.spec.job import JobSpec
from services.stores.protocol import EventRecord, JobRecord, JobStore

PHASES = ("generate", "verify", "train", "sync", "evaluate", "checkpoint")
"""What the wall clock is divided into; the rest (start-up, mostly) is ``other``."""

BASE = "base"


class ReportError(Exception):
    """A report cannot be written; the message names what is wrong and what to do."""


@dataclass(frozen=True)
class StageSpan:
    """The steps a stage took; None when it has not begun."""

    name: str
    """Its label: from the second cycle on with the cycle's number."""
    objective: str
    planned_steps: int
    first_step: int | None
    last_step: int | None


@dataclass(frozen=True)
class ReportData:
    """The content of ``report.json``, and the examples beside it."""

    job: Mapping[str, Any]
    machine: Mapping[str, Any]
    evaluations: Mapping[str, EvaluationFigures]
    """By label, ``base`` first, then the stages in their order; only those that were made."""
    steps: Sequence[Mapping[str, Any]]
    stages: Sequence[StageSpan]
    wall_seconds: Mapping[str, float]
    """By phase, with ``other`` and ``total``."""
    samples: Mapping[str, Any] | None
    """The replay accounting after the last step."""
    peak_memory_bytes: int | None
    """Largest resident set recorded by the run; None when it recorded none."""
    spec: JobSpec
    examples: Sequence[Example] = ()
    data: Mapping[str, Any] | None = None
    """Source and content hash of the data sets, None from a driver that did not record them."""

    @property
    def base(self) -> EvaluationFigures | None:
        return self.evaluations.get(BASE)

    @property
    def last(self) -> EvaluationFigures | None:
        """The evaluation after the latest stage; None when there is none but the base's."""
        after = [figures for label, figures in self.evaluations.items() if label != BASE]
        return after[-1] if after else None

    def as_json(self) -> dict[str, Any]:
        """Return ``report.json`` without the findings: built-in types only."""
        return {
            "job": dict(self.job),
            "machine": dict(self.machine),
            "evaluations": {label: asdict(f) for label, f in self.evaluations.items()},
            "stages": [asdict(s) for s in self.stages],
            "steps": [dict(s) for s in self.steps],
            "wall_seconds": dict(self.wall_seconds),
            "samples": self.samples,
            "peak_memory_bytes": self.peak_memory_bytes,
            "data": self.data,
            "spec": self.spec.model_dump(mode="json"),
        }


def collect(store: JobStore, folder: JobFolder, job_id: str) -> ReportData:
    """Gather what is known about a job, finished or not.

    Raises:
        JobNotFound: no job has this id.
        ReportError: an evaluation file cannot be read.
    """
    record = store.get_job(job_id)
    spec = record.training
    steps = _all_steps(store, job_id)
    events = _all_events(store, job_id)
    raw = read_evaluations(folder, [BASE, *(o.label for o in spec.schedule)])
    base = raw.get(BASE)
    after = [e for label, e in raw.items() if label != BASE]
    return ReportData(
        job=_job(record),
        machine=_machine(events),
        evaluations={label: compare(e, base) for label, e in raw.items()},
        steps=steps,
        stages=_stage_spans(spec, steps, raw.keys()),
        # What came before a fork took time of another job.
        wall_seconds=_wall_seconds(
            _own(steps, record),
            _own([*raw.values(), *_midway(events, steps)], record),
            events,
            _running_seconds(events, record),
        ),
        samples=steps[-1].get("samples") if steps else None,
        peak_memory_bytes=_peak_memory([*steps, *(e.data for e in events)]),
        spec=spec,
        examples=choose_examples(base, after[-1]) if base and after else (),
        data=_data(events),
    )


def _own(records: Sequence[Mapping[str, Any]], job: JobRecord) -> list[Mapping[str, Any]]:
    """The records a job wrote itself: of a fork, those after its checkpoint."""
    first = job.forked_from.step + 1 if job.forked_from else 0
    return [record for record in records if record["step"] >= first]


def _all_steps(store: JobStore, job_id: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    while page := store.metrics(job_id, after_step=steps[-1]["step"] if steps else 0):
        steps += page
    return steps


def _all_events(store: JobStore, job_id: str) -> list[EventRecord]:
    events: list[EventRecord] = []
    while page := store.events(job_id, after=events[-1].id if events else 0, limit=1000):
        events += page
    return events


def read_evaluations(folder: JobFolder, labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the evaluations that were made, whole, by label.

    Raises:
        ReportError: a file cannot be read.
    """
    found = {}
    for label in labels:
        path = folder.evaluation(label)
        if path.exists():
            found[label] = _read_json(path)
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise ReportError(
            f"evaluation file {path} cannot be read ({e}); remove it to report without it"
        ) from e
    return value


def _job(record: JobRecord) -> dict[str, Any]:
    names = ("id", "name", "preset", "state", "cause", "attempt")
    times = ("created_at", "started_at", "finished_at")
    return {name: getattr(record, name) for name in (*names, *times)}


def _machine(events: Sequence[EventRecord]) -> dict[str, Any]:
    """The machine the driver recorded last, else the one this report is written on."""
    recorded = [e.data for e in events if e.type == "machine"]
    if recorded:
        return {**recorded[-1], "recorded_by": "driver"}
    return {**describe_machine(), "recorded_by": "report"}


def _data(events: Sequence[EventRecord]) -> dict[str, Any] | None:
    """What the driver recorded of the data sets last, and of their overlap."""
    recorded = [e.data for e in events if e.type == "data"]
    overlap = [e.data for e in events if e.type == "data_overlap"]
    return {**recorded[-1], "overlap": overlap[-1] if overlap else None} if recorded else None


def _stage_spans(
    spec: JobSpec, steps: Sequence[Mapping[str, Any]], evaluated: Collection[str]
) -> list[StageSpan]:
    """The stages of every cycle that has begun."""
    seen = {s["stage"] for s in steps}.union(evaluated)
    begun = max((o.cycle for o in spec.schedule if o.label in seen), default=1)
    spans = []
    for occurrence in (o for o in spec.schedule if o.cycle <= begun):
        stage, label = occurrence.stage, occurrence.label
        taken = [s["step"] for s in steps if s["stage"] == label]
        first, last = (min(taken), max(taken)) if taken else (None, None)
        spans.append(StageSpan(label, stage.objective.type, stage.steps, first, last))
    return spans


def _midway(
    events: Sequence[EventRecord], steps: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Evaluations within stages that the next step waited for. Of one that ran beside it, the
    step's record says for how long it was held up."""
    beside = {s["step"] - 1 for s in steps if "evaluate" in (s.get("seconds") or {})}
    made = evaluations_of(events)
    return [e for e in made if str(e.get("label", "")).endswith(MIDWAY) and e["step"] not in beside]


def _running_seconds(events: Sequence[EventRecord], job: JobRecord) -> float:
    """Time a driver had the job, summed over attempts; waiting in the queue does not count."""
    total, since = 0.0, None
    for event in (e for e in events if e.type == "state"):
        if event.data.get("to") in ("starting", "running"):
            since = event.time if since is None else since
        elif since is not None:
            total, since = total + event.time - since, None
    if since is not None:
        total += max(0.0, (job.heartbeat_at or since) - since)
    return total


def _wall_seconds(
    steps: Sequence[Mapping[str, Any]],
    evaluations: Iterable[Mapping[str, Any]],
    events: Sequence[EventRecord],
    total: float,
) -> dict[str, float]:
    phases = {
        phase: sum((s.get("seconds") or {}).get(phase) or 0.0 for s in steps) for phase in PHASES
    }
    # These stand between steps; evaluation files and checkpoint events say how long they took.
    phases["evaluate"] += sum(e["seconds"] for e in evaluations)
    phases["checkpoint"] = sum(e.data.get("seconds", 0.0) for e in events if e.type == "checkpoint")
    known = sum(phases.values())
    total = max(total, known)
    return {**phases, "other": total - known, "total": total}


def _peak_memory(records: Iterable[Mapping[str, Any]]) -> int | None:
    peaks = [r["peak_rss_bytes"] for r in records if r.get("peak_rss_bytes")]
    return int(max(peaks)) if peaks else None
