"""Bodies of requests and responses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field, field_validator, model_validator

from algorithms.strict import Strict
from algorithms.trajectory import Verdict
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.stores.lifecycle import JobState
from services.stores.protocol import EventLevel, EventRecord, JobRecord
from services.verification.policy import Policy
from services.verification.tolerance import Tolerance


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


class CreateEvaluation(Strict):
    """An evaluation to be made."""

    spec: dict[str, Any]
    """``{"model": {"path": ...}, "benchmarks": [{"path": ...}]}`` and more; see the schema of an
    evaluation's ``spec``."""


class ChangeStage(Strict):
    """Where the job shall go on."""

    to: str = Field(min_length=1)
    """``next``, or the name of a stage that lies ahead."""


class VerifyCase(Strict):
    """One response to judge."""

    id: str | None = None
    """Given back with the verdict."""
    gold: str | list[str]
    """The accepted answer, or several of which any will do."""
    output: str
    """The whole response."""
    tolerance: Tolerance | None = None
    """Accepted distance of a number: ``{"absolute": ..., "relative": ...}``."""

    @field_validator("gold")
    @classmethod
    def _no_empty_gold(cls, gold: str | list[str]) -> str | list[str]:
        golds = gold if isinstance(gold, list) else [gold]
        if not golds or not all(g.strip() for g in golds):
            raise ValueError("is empty; give an accepted answer")
        return gold


class Verify(Strict):
    """Responses to judge, at once."""

    cases: list[VerifyCase] = Field(min_length=1, max_length=1000)
    policy: Policy = "reward"
    """How much an answer must do."""
    kind: str = "math"
    """What judges: ``math``, or the name of a verifier installed with the control plane."""


class CaseVerdict(Strict):
    """What was found about one response."""

    id: str | None
    verdict: Verdict
    reason: str
    well_formed: bool
    """Exactly one ``</think>``, then exactly one non-empty box."""
    seconds: float


class CaseVerdicts(Strict):
    """One verdict for each case, in their order."""

    data: list[CaseVerdict]


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

    @classmethod
    def of(cls, record: JobRecord) -> JobSummary:
        return cls(**{name: getattr(record, name) for name in JobSummary.model_fields})


class Job(JobSummary):
    """A job with its resolved specification."""

    spec: JobSpec

    @classmethod
    def of(cls, record: JobRecord) -> Job:
        return cls(**{name: getattr(record, name) for name in Job.model_fields})


class Evaluation(JobSummary):
    """An evaluation with its resolved specification. Its ``progress`` has ``benchmark``,
    ``questions_done``, ``questions_total``, ``responses_done``, the running ``accuracy`` of the
    benchmark, ``tokens_per_second``, ``eta_seconds`` and ``phase``."""

    spec: EvaluationJobSpec

    @classmethod
    def of(cls, record: JobRecord) -> Evaluation:
        return cls(**{name: getattr(record, name) for name in Evaluation.model_fields})


class JobPage(Strict):
    """Jobs or evaluations, newest first."""

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
