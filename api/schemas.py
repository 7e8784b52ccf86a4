"""Bodies of requests and responses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator, model_validator

from algorithms.strict import Strict
from algorithms.trajectory import Verdict
from api.actions import actions_of
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.stores.lifecycle import Action, JobState
from services.stores.protocol import EventLevel, EventRecord, JobRecord
from services.verification.policy import Policy
from services.verification.tolerance import Tolerance

LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._:/@+-]{0,128}$")]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=16)]
"""At most 16; keys of 63 characters (lower case), values of 128, both plain."""


class CreateJob(Strict):
    """Either a preset, perhaps with overrides, or a whole specification."""

    preset: str | None = None
    """Name of a preset (``GET /v1/presets``)."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Merged into the preset. Stages may be given by name:
    ``{"stages": {"compression": {"steps": 3}}}``."""
    spec: dict[str, Any] | None = None
    """A job specification."""
    labels: Labels = Field(default_factory=dict)
    """What to file the job under; ``GET /v1/jobs?label[team]=reasoning`` finds it again."""

    @model_validator(mode="after")
    def _one_source(self) -> CreateJob:
        if (self.preset is None) == (self.spec is None):
            raise ValueError('give either "preset" (with "overrides" if you like) or "spec"')
        if self.spec is not None and self.overrides:
            raise ValueError('"overrides" go with "preset"; put the values into "spec" itself')
        return self


class EstimateJob(CreateJob):
    """A job as it would be created, and what is known of its responses."""

    mean_response_tokens: float | None = Field(default=None, gt=0, le=10**7)
    """Mean length of a response over the whole run, where it has been measured."""


class CreateEvaluation(Strict):
    """An evaluation to be made."""

    spec: dict[str, Any]
    """``{"model": {"path": ...}, "benchmarks": [{"path": ...}]}`` and more; see the schema of an
    evaluation's ``spec``."""
    labels: Labels = Field(default_factory=dict)
    """What to file the evaluation under."""


class Wish(Strict):
    """What goes with something that is asked of a job."""

    reason: str | None = Field(default=None, max_length=1000)
    """Why; it stands in the job's event log."""


class ResumeJob(Wish):
    """Where a job shall go on."""

    from_step: int | None = Field(default=None, ge=0, lt=10**9)
    """Step of the checkpoint to go on from; what the job did after it is set aside. Unset goes on
    from the newest."""


class ForkJob(Wish):
    """A job that goes on from a checkpoint of another."""

    step: int | None = Field(default=None, ge=0, lt=10**9)
    """Step of the checkpoint; unset takes the newest."""
    name: str | None = Field(default=None, min_length=1, max_length=63)
    """Of the new job; unset keeps the name."""
    labels: Labels | None = None
    """Of the new job; unset keeps the labels."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Merged into the specification, as into a preset: what is yet to come may differ."""


class CancelJob(Wish):
    """How a job shall end."""

    grace_seconds: float | None = Field(default=None, ge=0, le=86_400)
    """How long its driver may take before it is stopped by force; unset leaves it to the control
    plane."""


class ChangeStage(Wish):
    """Where the job shall go on."""

    to: str = Field(min_length=1)
    """``next``, or the name of a stage that lies ahead."""
    at: Literal["next_step"] = "next_step"
    """When: between two steps. The step under way is trained first, unless the coming stage has
    ``on_entry: drop``: then its samples are dropped."""


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


class ForkedFrom(Strict):
    """The checkpoint a job began with."""

    job: str
    """The job that wrote it; it may be gone by now."""
    step: int


class JobSummary(Strict):
    """A job without its specification. Times are Unix seconds."""

    id: str
    name: str
    preset: str | None
    state: JobState
    cause: str | None
    """Why the job is in this state; set for failed, cancelled, interrupted, paused and
    reconciling."""
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
    tenant: str
    labels: dict[str, str]
    revision: int
    """One more with each change of state, attempt or wish; the ETag carries it."""
    forked_from: ForkedFrom | None
    """Of a job that was forked."""
    actions: list[Action]
    """What can be asked of the job now."""

    @classmethod
    def of(cls, record: JobRecord) -> JobSummary:
        return cls(**_fields(record, cls))


class Job(JobSummary):
    """A job with its resolved specification."""

    spec: JobSpec

    @classmethod
    def of(cls, record: JobRecord) -> Job:
        return cls(**_fields(record, cls))


class Evaluation(JobSummary):
    """An evaluation with its resolved specification. Its ``progress`` has ``benchmark``,
    ``questions_done``, ``questions_total``, ``responses_done``, the running ``accuracy`` of the
    benchmark, ``tokens_per_second``, ``eta_seconds`` and ``phase``."""

    spec: EvaluationJobSpec

    @classmethod
    def of(cls, record: JobRecord) -> Evaluation:
        return cls(**_fields(record, cls))


def _fields(record: JobRecord, model: type[JobSummary]) -> dict[str, Any]:
    made = {"actions", "forked_from"}
    kept = {name: getattr(record, name) for name in model.model_fields if name not in made}
    origin = record.forked_from
    forked_from = None if origin is None else ForkedFrom(**asdict(origin))
    return {**kept, "forked_from": forked_from, "actions": actions_of(record)}


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
    author: str | None
    """Who asked for it; null is Laconic itself."""
    reason: str | None
    """Why, in the words of the author."""

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
    command: int | None
    """Its number; null where the request was sent again because its answer was lost."""


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


class ProblemBody(BaseModel):
    """RFC 9457. Some problems say more: a 409 ``state`` and ``allowed``, a 403 ``scope``."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemDetail]
    request_id: str | None
