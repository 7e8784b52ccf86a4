"""What happened in one round, as plain data that can be kept as JSON. Times are Unix seconds of one
machine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["ok", "refused", "unknown"]
"""``ok``: answered 2xx. ``refused``: answered 4xx, which changes nothing. ``unknown``: no answer,
also after asking again; it may have been done or not."""


@dataclass
class Op:
    """One request of one client, with all its repetitions."""

    client: str
    kind: str
    """``create``, ``pause``, ``resume``, ``cancel``, ``stage``, ``read``, ``events`` or
    ``stream``."""
    key: str
    """Idempotency key; it also stands in the labels of a job and in the reason of a wish."""
    begin: float
    job: str = ""
    end: float = 0.0
    tries: int = 0
    outcome: Outcome = "unknown"
    status: int = 0
    seen: dict[str, Any] = field(default_factory=dict)
    """Of the answer: ``state``, ``attempt`` and ``revision`` of a job; ``events`` and ``after``."""


@dataclass
class Run:
    """A driver process."""

    job: str
    attempt: int
    pid: int
    begin: float
    end: float | None
    code: int | None


@dataclass
class Step:
    """One step that a driver has finished."""

    job: str
    attempt: int
    step: int
    begin: float
    end: float


@dataclass
class Job:
    """What the store holds of a job in the end."""

    id: str
    state: str
    attempt: int
    revision: int
    labels: dict[str, str]
    events: list[dict[str, Any]]
    """With ``id``, ``time``, ``type``, ``attempt``, ``data``, ``reason``."""
    steps: list[tuple[int, int]]
    """Of the step records: step and attempt."""


@dataclass
class History:
    """Everything there is to judge a round by."""

    seed: int
    backend: str
    ops: list[Op] = field(default_factory=list)
    kills: list[tuple[float, str]] = field(default_factory=list)
    """When, and what."""
    runs: list[Run] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    def of_job(self, job: str) -> str:
        """Everything about one job in the order of time, for a person to read."""
        lines: list[tuple[float, str]] = [(t, f"killed: {what}") for t, what in self.kills]
        for op in self.ops:
            if op.job == job or (op.kind == "create" and op.seen.get("id") == job):
                text = f"{op.client} {op.kind} {op.key} -> {op.outcome} {op.status} {op.seen}"
                lines.append((op.begin, f"{text} until {op.end:.3f}, {op.tries} tries"))
        for run in self.runs:
            if run.job == job:
                lines.append((run.begin, f"driver of attempt {run.attempt} begins ({run.pid})"))
                if run.end is not None:
                    lines.append((run.end, f"driver of attempt {run.attempt} ends: {run.code}"))
        for step in self.steps:
            if step.job == job:
                lines.append((step.end, f"attempt {step.attempt} has done step {step.step}"))
        for kept in self.jobs:
            if kept.id == job:
                lines += [(e["time"], f"event {e}") for e in kept.events]
        return "\n".join(f"{t:.3f} {text[:600]}" for t, text in sorted(lines))
