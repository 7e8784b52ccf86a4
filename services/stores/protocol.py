"""The job store: the only place where the control plane and the driver meet.

The control plane writes specifications and commands and reads what happened; the driver does the
reverse. Every write of a driver carries its ``attempt``, a fencing number: once a job is resumed,
the driver of the attempt before can write nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.spec.kind import JobKind, Spec
from services.stores.lifecycle import JobState

CommandKind = Literal["stage", "cancel", "stop"]
"""``stage``: go on with another stage. ``cancel``: end for good. ``stop``: end so that the job
can be resumed."""

EventLevel = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class JobRecord:
    """A job as the store knows it. Times are Unix seconds."""

    id: str
    kind: JobKind
    name: str
    spec: Spec
    preset: str | None
    state: JobState
    cause: str | None
    """Why the job is in this state, in words; set for failed, cancelled and interrupted."""
    attempt: int
    """1 for the first driver, one more for each resume."""
    created_at: float
    updated_at: float
    started_at: float | None
    """When the current attempt left the queue."""
    finished_at: float | None
    heartbeat_at: float | None
    """Last sign of life of the current attempt's driver."""
    progress: dict[str, Any] | None
    """What the driver last said: stage, step, total_steps, phase, eta_seconds and so on."""
    ray_submission_id: str | None
    cancel_requested_at: float | None = None
    """When the current attempt was first asked to cancel."""

    @property
    def training(self) -> JobSpec:
        """The specification of a training job.

        Raises:
            WrongKind: it is an evaluation.
        """
        if not isinstance(self.spec, JobSpec):
            raise WrongKind(self.id, self.kind)
        return self.spec

    @property
    def evaluation(self) -> EvaluationJobSpec:
        """The specification of an evaluation.

        Raises:
            WrongKind: it is a training job.
        """
        if not isinstance(self.spec, EvaluationJobSpec):
            raise WrongKind(self.id, self.kind)
        return self.spec


@dataclass(frozen=True)
class EventRecord:
    """One line of a job's log. Ids are dense: 1, 2, 3, ... per job."""

    id: int
    time: float
    type: str
    message: str
    level: EventLevel
    attempt: int | None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """A wish of the control plane, taken once by the driver."""

    id: int
    kind: CommandKind
    data: dict[str, Any] = field(default_factory=dict)


class StoreError(Exception):
    """Base of what a job store refuses."""


class JobNotFound(StoreError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {job_id!r}; GET /v1/jobs lists them")
        self.job_id = job_id


class WrongKind(JobNotFound):
    """There is a job with this id, but it is of another kind than was asked for."""

    def __init__(self, job_id: str, kind: JobKind) -> None:
        place = {"training": "jobs", "evaluation": "evaluations"}[kind]
        StoreError.__init__(
            self, f"{job_id} is of the kind {kind}; it stands at /v1/{place}/{job_id}"
        )
        self.job_id = job_id


class StaleAttempt(StoreError):
    """The writer no longer owns the job: it was resumed under a later attempt, or it has ended.
    Nothing was written; the driver that sees this must stop."""

    def __init__(self, job_id: str, attempt: int, current: int, state: JobState) -> None:
        super().__init__(
            f"attempt {attempt} of job {job_id} may not write: the job is {state} at attempt "
            f"{current}; this driver must stop"
        )
        self.job_id = job_id
        self.attempt = attempt
        self.current = current
        self.state = state


class IllegalTransition(StoreError):
    """The job is not in a state that allows this."""

    def __init__(self, job_id: str, state: JobState, wanted: str, allowed: Sequence[str]) -> None:
        options = ", ".join(allowed) if allowed else "nothing, it has ended"
        super().__init__(f"job {job_id} is {state}: cannot {wanted} (allowed: {options})")
        self.job_id = job_id
        self.state = state
        self.wanted = wanted
        self.allowed = tuple(allowed)


class JobStore(Protocol):
    """What every backend does. All methods are safe from several processes and threads.

    Each method that takes a job id raises :class:`JobNotFound`; each that takes an ``attempt``
    raises :class:`StaleAttempt` when it is not the current one, and then writes nothing.
    """

    def create_job(self, spec: Spec, preset: str | None) -> JobRecord:
        """Add a job of the specification's kind: state ``queued``, attempt 1, first event
        ``created``."""
        ...

    def get_job(self, job_id: str) -> JobRecord: ...

    def list_jobs(
        self,
        limit: int = 50,
        after: str | None = None,
        states: Collection[JobState] | None = None,
        kind: JobKind | None = None,
    ) -> tuple[list[JobRecord], str | None]:
        """Jobs, of one kind or of all, newest first, and the cursor of the next page (None: no
        more).

        ``after`` is such a cursor (a job id); jobs created meanwhile do not shift the pages.
        """
        ...

    def count_jobs(self, kind: JobKind) -> dict[JobState, int]:
        """How many jobs of a kind are in each state; states without any may be absent."""
        ...

    def begin_attempt(self, job_id: str) -> JobRecord:
        """Resume: attempt + 1, state ``queued``; of the commands nobody took, wishes for a stage
        stay, cancels and stops are dropped.

        Raises:
            IllegalTransition: the job is neither interrupted nor failed.
        """
        ...

    def set_state(
        self, job_id: str, state: JobState, *, attempt: int | None, cause: str | None = None
    ) -> JobRecord:
        """Move the job and log an event ``state`` in one transaction.

        ``attempt=None`` is the control plane acting on whatever attempt is current. Setting the
        state a job is in changes nothing and logs nothing. ``queued`` is reached only through
        :meth:`begin_attempt`.

        Raises:
            IllegalTransition: the lifecycle does not allow it.
        """
        ...

    def set_ray_submission(self, job_id: str, attempt: int, submission_id: str) -> None: ...

    def heartbeat(self, job_id: str, attempt: int, progress: Mapping[str, Any]) -> None:
        """Store the time and the driver's progress. StaleAttempt also when the job has ended."""
        ...

    def append_event(
        self,
        job_id: str,
        type: str,
        message: str,
        *,
        level: EventLevel = "info",
        data: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> int:
        """Add a line to the job's log and return its id."""
        ...

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[EventRecord]:
        """Events with ids above ``after``, oldest first."""
        ...

    def append_metrics(
        self, job_id: str, attempt: int, step: int, record: Mapping[str, Any]
    ) -> None:
        """Store the record of one step; a step written again replaces its record.

        NaN and infinities become null. StaleAttempt also when the job has ended.
        """
        ...

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Records of the steps above ``after_step``, in order."""
        ...

    def latest_metrics(self, job_id: str) -> dict[str, Any] | None:
        """The record of the last step, None before the first."""
        ...

    def truncate_metrics(self, job_id: str, attempt: int, after_step: int) -> int:
        """Drop the records of steps above ``after_step`` (a resume supersedes them); return how
        many there were."""
        ...

    def send_command(self, job_id: str, kind: CommandKind, data: Mapping[str, Any]) -> int:
        """Leave a command for the driver and log it as an event; return the command's id.

        Raises:
            IllegalTransition: the job has no driver and will get none.
        """
        ...

    def take_commands(self, job_id: str, attempt: int) -> list[Command]:
        """Commands not taken before, in order; each is handed out once. StaleAttempt also when
        the job has ended."""
        ...

    def ping(self) -> None:
        """Return when the store answers; raise what stops it."""
        ...
