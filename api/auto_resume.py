"""Resumes jobs whose driver was lost, as often as their settings say."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Final

from api.dependencies import Context
from api.job_actions import resume_job
from api.problems import ApiProblem
from services.restarts import AUTO_RESUMED, Leave, Resume, decide
from services.stores.protocol import (
    ChangedMeanwhile,
    EventRecord,
    IllegalTransition,
    JobNotFound,
    JobRecord,
)

log = logging.getLogger("laconic.reconcile")

_PAGE: Final = 1000
_QUOTA_SECONDS: Final = 30.0
"""Time between two tries to resume a job whose tenant has as much as it may have."""


class AutoResume:
    """Jobs that were interrupted, until it is known what becomes of them. Of the one thread that
    looks after the jobs."""

    def __init__(self, context: Context) -> None:
        """Nothing is looked for yet."""
        self._context = context
        self._found: set[str] = set()
        self._at_work: set[str] = set()
        self._not_before: dict[str, tuple[int, float]] = {}
        self._again: dict[str, float] = {}

    def adopt(self) -> None:
        """Take up what others have left: they looked after the jobs until now."""
        if not self._context.settings.takes_up_interrupted:
            return
        cursor: str | None = None
        while True:
            page, cursor = self._context.store.list_jobs(100, cursor, {"interrupted"})
            self._found |= {j.id for j in page}
            if cursor is None:
                return

    def see(self, active: set[str]) -> None:
        """Say which jobs have, or will have, a driver: what became of the others is looked at."""
        self._found |= self._at_work - active
        self._at_work = active
        self._not_before = {j: at for j, at in self._not_before.items() if j in active}

    def decide(self, job: JobRecord) -> Resume | Leave:
        """What becomes of a job whose driver is gone."""
        return decide(_log_of(self._context, job.id), job.progress, job.spec.restarts)

    def take_up(self, job_id: str) -> None:
        """A job has just been interrupted."""
        self._found.add(job_id)

    def work(self) -> None:
        """Resume what is to be resumed."""
        for job_id in list(self._found):
            if self._context.closing.is_set():
                return
            if time.monotonic() < self._again.get(job_id, 0.0):
                continue
            try:
                if self._settle(job_id):
                    self._found.discard(job_id)
            except (IllegalTransition, ChangedMeanwhile) as error:
                log.info("job %s: %s", job_id, error)  # the next look sees what it is now
            except JobNotFound:
                self._found.discard(job_id)

    def is_due(self, job: JobRecord) -> bool:
        """Whether a queued job may have its driver now."""
        attempt, at = self._not_before.get(job.id, (0, 0.0))
        return attempt != job.attempt or time.monotonic() >= at

    def _settle(self, job_id: str) -> bool:
        """Whether it is known what becomes of a job."""
        job = self._context.store.get_job(job_id)
        if job.state != "interrupted":
            return True
        decision = self.decide(job)
        if isinstance(decision, Leave):
            log.info("job %s stays interrupted: %s", job.id, decision.why or "its settings say so")
            return True
        return self._resume(job, decision)

    def _resume(self, job: JobRecord, decision: Resume) -> bool:
        limit = job.spec.restarts.limit
        said = "resumed by itself"
        if decision.at_fault:
            said += f" ({decision.count} of {limit} without getting further)"
        reason = f"{said}: {job.cause}"
        try:
            begun = resume_job(self._context, job, expect=job.revision, reason=reason)
        except ApiProblem as error:  # its place has gone to others of its tenant
            self._again[job.id] = time.monotonic() + _QUOTA_SECONDS
            log.warning("job %s cannot be resumed yet: %s", job.id, error)
            return False
        self._again.pop(job.id, None)
        self._not_before[job.id] = (begun.attempt, time.monotonic() + decision.pause_seconds)
        self._at_work.add(job.id)
        self._context.store.append_event(
            job.id,
            AUTO_RESUMED,
            reason,
            level="warning" if decision.at_fault else "info",
            data={
                "count": decision.count,
                "limit": limit,
                "cause": job.cause,
                "attempt": begun.attempt,
                "pause_seconds": decision.pause_seconds,
                "reached": decision.reached,
            },
            attempt=begun.attempt,
        )
        return True


def _log_of(context: Context, job_id: str) -> Iterator[EventRecord]:
    last = 0
    while page := context.store.events(job_id, last, _PAGE):
        yield from page
        last = page[-1].id
