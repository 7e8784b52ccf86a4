"""The job store: the only place where the control plane and the driver meet.

The control plane writes specifications and commands and reads what happened; the driver does the
reverse. Every write of a driver carries its ``attempt``, a fencing number: once a job is resumed,
the driver of the attempt before can write nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.spec.kind import JobKind, Spec
from services.stores.journal_mark import JournalMark
from services.stores.lifecycle import Action, CommandKind, JobState, actions
from services.stores.listing import EVERY_JOB, JobFilter

EventLevel = Literal["info", "warning", "error"]

STATE_LEVELS: Final[dict[JobState, EventLevel]] = {
    "failed": "error",
    "interrupted": "warning",
    "reconciling": "warning",
}
"""Of the events that log a state; the others are ``info``."""

DEFAULT_TENANT: Final = "default"
"""Owner of the jobs of a control plane without API keys."""


@dataclass(frozen=True)
class Origin:
    """Where a job goes on from."""

    job: str
    """Its id; the job may be gone by now."""
    step: int
    """Of the checkpoint."""


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
    """Why the job is in this state, in words; set for failed, cancelled, interrupted, paused and
    reconciling."""
    attempt: int
    """1 for the first driver, one more for each resume."""
    created_at: float
    updated_at: float
    started_at: float | None
    """When the current attempt left the queue."""
    finished_at: float | None
    """When it came to be without a driver."""
    heartbeat_at: float | None
    """Last sign of life of the current attempt's driver."""
    progress: dict[str, Any] | None
    """What the driver last said: stage, step, total_steps, phase, eta_seconds and so on."""
    ray_submission_id: str | None
    cancel_requested_at: float | None = None
    """When the current attempt was first asked to cancel."""
    cancel_grace_seconds: float | None = None
    """How long the driver may take to obey, where the one who asked has said so."""
    held: JobState | None = None
    """While the job is ``reconciling``: the state it was last seen in."""
    tenant: str = DEFAULT_TENANT
    """Who the job belongs to."""
    labels: dict[str, str] = field(default_factory=dict)
    """What its owner files it under."""
    revision: int = 1
    """One more with each change of state, attempt or wish; heartbeats do not count."""
    forked_from: Origin | None = None
    """Of a job that began with a checkpoint of another."""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What a person may ask of the job now."""
        return actions(self.state, self.held)

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
    author: str | None = None
    """Who asked for it; None is Laconic itself."""
    reason: str | None = None
    """Why, in the words of the author."""


@dataclass(frozen=True)
class Command:
    """A wish of the control plane. Ids grow in the order in which wishes were accepted."""

    id: int
    kind: CommandKind
    data: dict[str, Any] = field(default_factory=dict)
    author: str | None = None
    reason: str | None = None


class StoreError(RuntimeError):
    """Base of what a job store refuses."""


class StoreUnavailable(StoreError):
    """The store does not answer, or could not write: nothing is known about the operation. Asking
    again is safe for reads; a write may have been done."""


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


class BadCursor(StoreError):
    """A list was asked to go on from a cursor that none of its pages ended with."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"{cursor!r} is not a cursor; use the one that came with the page before")
        self.cursor = cursor


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


class ChangedMeanwhile(StoreError):
    """The job is not at the revision the caller has seen. Nothing was written."""

    def __init__(self, job_id: str, expected: int, current: int) -> None:
        super().__init__(
            f"job {job_id} is at revision {current}, not {expected}; look at it and try again"
        )
        self.job_id = job_id
        self.expected = expected
        self.current = current


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
    raises :class:`StaleAttempt` when it is not the current one. ``expect`` is the revision the
    caller acts on: :class:`ChangedMeanwhile` when it is not the current one. Then nothing was
    written. Any method may raise :class:`StoreUnavailable`. ``author`` and ``reason`` go into the
    event log: who asked, and why.

    NaN and infinities become null, and characters that no UTF-8 can hold become ``?``.
    """

    def create_job(
        self,
        spec: Spec,
        preset: str | None,
        *,
        job_id: str | None = None,
        tenant: str = DEFAULT_TENANT,
        labels: Mapping[str, str] | None = None,
        forked_from: Origin | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        """Add a job of the specification's kind: state ``queued``, attempt 1, first event
        ``created``, which has ``forked_from`` in its data where that is given. Times of creation
        never fall.

        A caller that may have to ask twice gives the ``job_id``: where there is a job of this id
        already, that one is returned and nothing is written.
        """
        ...

    def get_job(self, job_id: str) -> JobRecord: ...

    def list_jobs(
        self,
        limit: int = 50,
        after: str | None = None,
        states: Collection[JobState] | None = None,
        where: JobFilter = EVERY_JOB,
    ) -> tuple[list[JobRecord], str | None]:
        """Jobs, newest first, and the cursor of the next page (None: no more).

        ``after`` is such a cursor: jobs created or removed meanwhile do not shift the pages.

        Raises:
            BadCursor: ``after`` is none.
        """
        ...

    def count_jobs(
        self, kind: JobKind | None = None, *, tenant: str | None = None
    ) -> dict[JobState, int]:
        """How many jobs, of a kind or of all, of a tenant or of all, are in each state; states
        without any may be absent."""
        ...

    def begin_attempt(
        self,
        job_id: str,
        *,
        expect: int | None = None,
        from_step: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        """Resume: attempt + 1, state ``queued``. Wishes for a stage that nobody took, or that the
        attempt before took and did not settle, wait for the new attempt; all other commands are
        dropped. ``from_step`` goes into the data of the event, where the driver finds it
        (:mod:`services.lineage`).

        Raises:
            IllegalTransition: the job is neither paused nor interrupted nor failed.
        """
        ...

    def set_state(
        self,
        job_id: str,
        state: JobState,
        *,
        attempt: int | None,
        cause: str | None = None,
        expect: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        """Move the job and log an event ``state`` in one transaction.

        ``attempt=None`` is the control plane acting on whatever attempt is current. Setting the
        state a job is in changes nothing and logs nothing. ``queued`` is reached only through
        :meth:`begin_attempt`. From ``reconciling`` a job goes where it could have gone from the
        state it was last seen in. A job that was asked to cancel and shall become ``paused`` or
        ``interrupted`` becomes ``cancelled``.

        Raises:
            IllegalTransition: the lifecycle does not allow it.
        """
        ...

    def set_ray_submission(self, job_id: str, attempt: int, submission_id: str) -> None:
        """Note what Ray calls the driver. StaleAttempt also when the job has ended."""
        ...

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
        author: str | None = None,
        reason: str | None = None,
        mark: JournalMark | None = None,
        at: float | None = None,
    ) -> int:
        """Add a line to the job's log and return its id, or 0 where its ``mark`` says that it is
        there already. With an ``attempt``, StaleAttempt also when the job has ended. ``at`` is when
        it happened, in Unix seconds, where that is not now."""
        ...

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[EventRecord]:
        """Events with ids above ``after``, oldest first. Ids being dense, one that does not follow
        ``after`` directly says that those between were trimmed."""
        ...

    def first_event(self, job_id: str) -> int:
        """The id of the oldest event that is kept."""
        ...

    def append_metrics(
        self,
        job_id: str,
        attempt: int,
        step: int,
        record: Mapping[str, Any],
        *,
        mark: JournalMark | None = None,
    ) -> None:
        """Store the record of one step; a step written again replaces its record, unless its
        ``mark`` says that it is there already. StaleAttempt also when the job has ended."""
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

    def send_command(
        self,
        job_id: str,
        kind: CommandKind,
        data: Mapping[str, Any],
        *,
        expect: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Leave a command for the driver and log it as an event; return the command's id.

        A job that has a driver becomes ``pausing`` with a pause and ``stopping`` with a cancel or a
        stop. ``grace_seconds`` in the data of a cancel is how long the driver may take.

        Raises:
            IllegalTransition: the job has no driver and will get none, or it ends already.
        """
        ...

    def take_commands(
        self, job_id: str, attempt: int, *, after: int | None = None
    ) -> list[Command]:
        """Commands this attempt has not taken before, in order. StaleAttempt also when the job has
        ended.

        ``after`` is the id of the newest one that the driver knows of: all later ones are handed
        out, also those that it took already in an answer that was lost.
        """
        ...

    def settle_commands(
        self, job_id: str, attempt: int, through: int, also: Collection[int] = ()
    ) -> None:
        """Forget commands that no later attempt is to be given: those up to the id ``through``,
        whose effect a checkpoint holds, and ``also`` others, which came to nothing. StaleAttempt
        also when the job has ended."""
        ...

    # -- keeping within bounds --------------------------------------------------------------------

    def trim(self, job_id: str, *, events: int | None, metrics: int | None) -> None:
        """Keep the newest so many events, at least one, and step records of a job; None keeps all.
        What was trimmed leaves a gap at the front; ids go on as they were."""
        ...

    def remove_ended(self, before: float, limit: int = 100) -> list[str]:
        """Remove jobs that succeeded, failed or were cancelled before that time, the oldest first
        and with all their records; return their ids. Their folders stay."""
        ...

    # -- several control planes -------------------------------------------------------------------

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take the lease of this name, or renew it, until ``seconds`` from now; False while another
        owner holds it."""
        ...

    def release(self, name: str, owner: str) -> None:
        """Give the lease back, if this owner holds it."""
        ...

    def hasty(self, patience: float) -> JobStore:
        """The same store, of which each method repeats a call for so many seconds only while a
        server cannot be reached; a file is as it was."""
        ...

    def ping(self) -> None:
        """Return when the store answers; raise what stops it."""
        ...

    def close(self) -> None:
        """Let connections go. The store may not be used afterwards."""
        ...
