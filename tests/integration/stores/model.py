"""What a job store is to do, as plain data: no clock, no transaction, no file.

Written from the protocol's words and the published table of transitions, not from a backend.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.stores.lifecycle import TRANSITIONS

STOPPED = {"paused", "interrupted", "failed"}
OVER = {"succeeded", "failed", "cancelled"}
WITHOUT_DRIVER = STOPPED | OVER


class Refused(Exception):
    """An operation that a store must refuse: the name of the error and what it tells."""


@dataclass
class ModelJob:
    """A job, with whether its times are set instead of the times."""

    position: int
    tenant: str
    labels: dict[str, str]
    state: str = "queued"
    held: str | None = None
    cause: str | None = None
    attempt: int = 1
    revision: int = 1
    submission: str | None = None
    progress: dict[str, Any] | None = None
    started: bool = False
    finished: bool = False
    heard: bool = False
    cancelling: bool = False
    grace: float | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    first_event: int = 1
    metrics: dict[int, dict[str, Any]] = field(default_factory=dict)
    commands: list[tuple[int, str, dict[str, Any], str | None, str | None]] = field(
        default_factory=list
    )
    taken: int = 0
    mark: tuple[int, int] = (0, 0)
    ended_order: int = 0

    @property
    def seen(self) -> str:
        return self.held if self.state == "reconciling" and self.held else self.state


class Model:
    """All jobs of a store, by id."""

    def __init__(self) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self._created = self._commands = self._ended = 0

    # -- helpers ----------------------------------------------------------------------------------

    def _job(
        self,
        job_id: str,
        attempt: int | None = None,
        *,
        alive: bool = False,
        expect: int | None = None,
    ) -> ModelJob:
        if job_id not in self.jobs:
            raise Refused("JobNotFound")
        job = self.jobs[job_id]
        if attempt is not None and (
            attempt != job.attempt or (alive and job.state in WITHOUT_DRIVER)
        ):
            raise Refused("StaleAttempt", job.attempt, job.state)
        if expect is not None and expect != job.revision:
            raise Refused("ChangedMeanwhile", job.revision)
        return job

    def may(self, job: ModelJob) -> set[str]:
        """The states that may follow, the queue included."""
        if job.state == "reconciling":
            assert job.held is not None
            return (set(TRANSITIONS[job.held]) | {job.held}) - {"reconciling"}
        return set(TRANSITIONS[job.state])

    def _refuse(self, job: ModelJob) -> Refused:
        return Refused("IllegalTransition", job.state, frozenset(self.may(job)))

    def _log(self, job: ModelJob, kind: str, message: str, **fields: Any) -> int:
        job.events.append(
            {
                "id": len(job.events) + 1,
                "type": kind,
                "message": message,
                **{"level": "info", "attempt": None, "data": {}, "author": None, "reason": None},
                **fields,
            }
        )
        return len(job.events)

    def _enter(self, job: ModelJob, state: str, cause: str | None, **said: Any) -> None:
        levels = {"failed": "error", "interrupted": "warning", "reconciling": "warning"}
        old, job.state = job.state, state
        if state in OVER:
            self._ended += 1
            job.ended_order = self._ended
        self._log(
            job,
            "state",
            state if cause is None else f"{state}: {cause}",
            level=levels.get(state, "info"),
            attempt=job.attempt,
            data={"from": old, "to": state, "cause": cause},
            **said,
        )

    # -- operations -------------------------------------------------------------------------------

    def create(self, job_id: str, tenant: str, labels: dict[str, str]) -> None:
        if job_id in self.jobs:
            return
        self._created += 1
        job = self.jobs[job_id] = ModelJob(self._created, tenant, labels)
        self._log(job, "created", "job 'tiny-cpu' created", attempt=1)

    def begin_attempt(self, job_id: str, *, expect: int | None, author: str | None) -> None:
        job = self._job(job_id, expect=expect)
        if job.state not in STOPPED:
            raise self._refuse(job)
        job.attempt += 1
        job.revision += 1
        job.cause = job.submission = job.progress = job.grace = None
        job.started = job.finished = job.heard = job.cancelling = False
        job.commands = [c for c in job.commands if c[1] == "stage"]
        job.taken = 0
        self._enter(job, "queued", None, author=author)

    def set_state(
        self,
        job_id: str,
        state: str,
        *,
        attempt: int | None,
        cause: str | None,
        expect: int | None,
    ) -> None:
        job = self._job(job_id, attempt, expect=expect)
        target, said = state, cause
        if job.cancelling and state in ("paused", "interrupted"):
            target, said = "cancelled", "cancelled on request"
        if target == job.state:
            return
        if target == "queued" or target not in self.may(job):
            raise self._refuse(job)
        job.held = job.state if target == "reconciling" else None
        if job.state == "queued" and target not in WITHOUT_DRIVER:
            job.started = True
        job.finished = target in WITHOUT_DRIVER
        job.cause = said
        job.revision += 1
        self._enter(job, target, said)

    def submit(self, job_id: str, attempt: int, name: str) -> None:
        self._job(job_id, attempt, alive=True).submission = name

    def heartbeat(self, job_id: str, attempt: int, progress: dict[str, Any]) -> None:
        job = self._job(job_id, attempt, alive=True)
        job.heard, job.progress = True, progress

    def append_event(
        self, job_id: str, message: str, attempt: int | None, mark: tuple[int, int] | None
    ) -> int:
        job = self._job(job_id, attempt, alive=attempt is not None)
        if self._is_known(job, mark):
            return 0
        return self._log(job, "note", message, attempt=attempt)

    @staticmethod
    def _is_known(job: ModelJob, mark: tuple[int, int] | None) -> bool:
        if mark is None:
            return False
        known, job.mark = mark <= job.mark, max(mark, job.mark)
        return known

    def append_metrics(
        self, job_id: str, attempt: int, step: int, value: float, mark: tuple[int, int] | None
    ) -> None:
        job = self._job(job_id, attempt, alive=True)
        if self._is_known(job, mark):
            return
        job.metrics[step] = {"value": value, "step": step, "attempt": attempt}

    def truncate_metrics(self, job_id: str, attempt: int, after: int) -> int:
        job = self._job(job_id, attempt, alive=True)
        gone = [step for step in job.metrics if step > after]
        for step in gone:
            del job.metrics[step]
        return len(gone)

    def send_command(
        self,
        job_id: str,
        kind: str,
        data: dict[str, Any],
        *,
        expect: int | None,
        author: str | None,
        reason: str | None,
    ) -> int:
        job = self._job(job_id, expect=expect)
        takes = {
            "stage": {"queued", "starting", "running", "pausing"},
            "pause": {"queued", "starting", "running"},
            "cancel": {"queued", "starting", "running", "pausing", "stopping"},
            "stop": {"queued", "starting", "running", "pausing", "stopping"},
        }
        seen = job.seen
        if seen not in takes[kind]:
            raise self._refuse(job)
        self._commands += 1
        job.commands.append((self._commands, kind, data, author, reason))
        said = {"author": author, "reason": reason}
        text = f"{kind} requested" + (f": {data['to']}" if "to" in data else "")
        self._log(job, "command", text, data={"kind": kind, **data}, **said)
        if kind == "cancel":
            job.cancelling, job.grace = True, data.get("grace_seconds", job.grace)
        job.revision += 1
        after = seen
        if kind == "pause" and seen != "queued":
            after = "pausing"
        if kind == "cancel" and seen != "queued":
            after = "stopping"
        if kind == "stop" and seen not in ("queued", "pausing"):
            after = "stopping"
        if job.state == "reconciling":
            job.held = after
        elif after != job.state:
            self._enter(job, after, None, **said)
        return self._commands

    def take_commands(self, job_id: str, attempt: int, after: int | None) -> list[tuple[Any, ...]]:
        job = self._job(job_id, attempt, alive=True)
        known = job.taken if after is None else after
        found = [c for c in job.commands if c[0] > known]
        job.taken = max([job.taken, *(c[0] for c in found)])
        return found

    def settle_commands(self, job_id: str, attempt: int, through: int, also: set[int]) -> None:
        job = self._job(job_id, attempt, alive=True)
        job.commands = [c for c in job.commands if c[0] > through and c[0] not in also]

    def trim(self, job_id: str, events: int | None, metrics: int | None) -> None:
        job = self._job(job_id)
        if events is not None:
            job.first_event = max(job.first_event, len(job.events) - max(events, 1) + 1)
        if metrics is not None:
            steps = sorted(job.metrics)
            for step in steps[: max(len(steps) - metrics, 0)]:
                del job.metrics[step]

    def remove_ended(self, limit: int) -> list[str]:
        over = [(j.ended_order, i) for i, j in self.jobs.items() if j.state in OVER]
        gone = [job_id for _, job_id in sorted(over)[:limit]]
        for job_id in gone:
            del self.jobs[job_id]
        return gone

    # -- what can be seen -------------------------------------------------------------------------

    def listed(self, states: set[str] | None, tenant: str | None, label: str | None) -> list[str]:
        found = [
            (-job.position, job_id)
            for job_id, job in self.jobs.items()
            if (states is None or job.state in states)
            and (tenant is None or job.tenant == tenant)
            and (label is None or job.labels.get("k") == label)
        ]
        return [job_id for _, job_id in sorted(found)]

    def counted(self) -> dict[str, int]:
        states = [job.state for job in self.jobs.values()]
        return {state: states.count(state) for state in set(states)}
