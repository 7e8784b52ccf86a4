"""Bodies of requests and responses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field, model_validator

from algorithms.strict import Strict
from api.actions import Action, actions_of
from services.spec.job import JobSpec
from services.stores.lifecycle import JobState
from services.stores.protocol import EventLevel, EventRecord, JobRecord


class CreateJob(Strict):
    """Either a preset, perhaps with overrides, or a whole specification."""

    preset: str | None = None
    """Name of a preset (``GET /v1/presets``)."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Merged into the preset. Stages may be given by name:
    ``{"stages": {"compression": {"steps": 3}}}``."""
    spec: dict[str, Any] | None = None
    """A job specification."""

    @model_validator(mode="after")
    def _one_source(self) -> CreateJob:
        if (self.preset is None) == (self.spec is None):
            raise ValueError('give either "preset" (with "overrides" if you like) or "spec"')
        if self.spec is not None and self.overrides:
            raise ValueError('"overrides" go with "preset"; put the values into "spec" itself')
        return self


class ChangeStage(Strict):
    """Where the job shall go on."""

    to: str = Field(min_length=1)
    """``next``, or the name of a stage that lies ahead."""


class JobSummary(Strict):
    """A job without its specification. Times are Unix seconds."""

    id: str
    name: str
    preset: str | None
    state: JobState
    cause: str | None
    """Why the job is in this state; set for failed, cancelled and interrupted."""
    attempt: int
    created_at: float
    updated_at: float
    started_at: float | None
    finished_at: float | None
    heartbeat_at: float | None
    cancel_requested_at: float | None
    progress: dict[str, Any] | None
    """Stage, cycle, step, total_steps (at most), stage_step, stage_steps, phase and eta_seconds."""
    ray_submission_id: str | None
    actions: list[Action]
    """What can be asked of the job now, each by ``POST /v1/jobs/{id}/ACTION``."""

    @classmethod
    def of(cls, record: JobRecord) -> JobSummary:
        return cls(**_fields(cls, record))


class Job(JobSummary):
    """A job with its resolved specification."""

    spec: JobSpec

    @classmethod
    def of(cls, record: JobRecord) -> Job:
        return cls(**_fields(cls, record))


def _fields(view: type[JobSummary], record: JobRecord) -> dict[str, Any]:
    """What a view shows of a job: its record, and what can be asked of it."""
    own = view.model_fields.keys() - {"actions"}
    return {**{name: getattr(record, name) for name in own}, "actions": actions_of(record)}


class JobPage(Strict):
    """Jobs, newest first."""

    data: list[JobSummary]
    has_more: bool
    next_cursor: str | None
    """Give it as ``after`` to get the next page."""


class Event(Strict):
    """One line of a job's log."""

    id: int
    """Dense per job: 1, 2, 3, ..."""
    time: float
    type: str
    message: str
    level: EventLevel
    attempt: int | None
    data: dict[str, Any]

    @classmethod
    def of(cls, record: EventRecord) -> Event:
        return cls(**asdict(record))


class EventPage(Strict):
    """Events, oldest first."""

    data: list[Event]
    has_more: bool
    next_after: int
    """Give it as ``after`` to go on behind this page."""


class MetricsPage(Strict):
    """Step records, in order."""

    data: list[dict[str, Any]]
    has_more: bool
    next_after_step: int
    """Give it as ``after_step`` to go on behind this page."""


class StageChange(Strict):
    """A stage change the driver was asked for; it happens between two steps."""

    to: str
    command: int


class PresetView(Strict):
    """A preset with everything it resolves to."""

    name: str
    version: int
    description: str
    spec: JobSpec


class PresetList(Strict):
    data: list[PresetView]


class ProblemDetail(Strict):
    """One objection within a problem."""

    pointer: str
    """JSON pointer into the job specification, or into the body where it has none yet."""
    detail: str


class ProblemBody(Strict):
    """RFC 9457. A 409 also has ``state`` and ``allowed``."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemDetail]
    request_id: str | None
