"""Brings together what the store says and what Ray shows: starts queued jobs, closes the records
of drivers that died without a word, and enforces cancels that a driver did not obey.

Only observed facts end a job. A cluster that does not answer says nothing about its jobs.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final

from api.dependencies import Context
from services.launcher import ENDED, LaunchError, Observation, submission_id
from services.spec.validation import cluster_problems
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.protocol import IllegalTransition, JobRecord, StaleAttempt, StoreError

log = logging.getLogger("laconic.reconcile")

_STOP_SECONDS: Final = 10.0
"""Longest wait for Ray to end a driver that was stopped."""
_LOG_TAIL: Final = 4000
"""Characters of a dead driver's log that go into its last event."""


class Reconciler:
    """A thread of the control plane."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: set[tuple[str, int]] = set()
        self._watched: dict[str, int] = {}
        self._thread = threading.Thread(target=self._loop, name="reconciler", daemon=True)
        self._ending = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the look it is taking; keep the logs of drivers that just ended."""
        self._ending.set()
        self._context.wake.set()
        self._thread.join(timeout=60)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            active = {j.id: j.attempt for j in self._active()}
            if self._watched.items() <= active.items():
                return
            # A driver writes its record before it exits: Ray may see its end a little later.
            self._keep_logs(active)
            time.sleep(0.2)

    def _loop(self) -> None:
        while not self._ending.is_set():
            self._context.wake.clear()
            try:
                self.look()
                self._context.last_reconciled = time.time()
            except Exception:
                log.exception("a look at the jobs failed; the next one follows")
            self._context.wake.wait(self._context.settings.reconcile_seconds)

    def look(self) -> None:
        """Go through all jobs once."""
        jobs = self._active()
        for job in jobs:
            if job.ray_submission_id is not None:
                self._guarded(job, self._check)
        self._keep_logs({j.id: j.attempt for j in jobs if j.ray_submission_id is not None})
        busy = sum(j.ray_submission_id is not None for j in self._active())
        for job in reversed(jobs):  # the oldest first
            if job.ray_submission_id is not None or self._context.closing.is_set():
                continue
            if busy >= self._context.settings.max_running_jobs:
                break
            busy += 1
            self._guarded(job, self._launch)

    def _active(self) -> list[JobRecord]:
        jobs: list[JobRecord] = []
        cursor: str | None = None
        while True:
            page, cursor = self._context.store.list_jobs(100, cursor, ACTIVE)
            jobs += page
            if cursor is None:
                return jobs

    def _guarded(self, job: JobRecord, action: Callable[[JobRecord], None]) -> None:
        try:
            action(job)
        except (StaleAttempt, IllegalTransition) as error:
            # Somebody else moved the job between our reading and our writing: theirs counts.
            log.info("job %s: %s", job.id, error)
        except (StoreError, sqlite3.Error):
            log.exception("job %s", job.id)

    # -- starting -------------------------------------------------------------------------------

    def _launch(self, job: JobRecord) -> None:
        context = self._context
        # The size of the cluster may not have been known when the job was submitted.
        size = context.launcher.cluster_size()
        if size and (problem := next(cluster_problems(job.spec, size), None)):
            cause = f"{problem.pointer}: {problem.detail}"
            context.store.set_state(job.id, "failed", attempt=job.attempt, cause=cause)
            return
        try:
            name = context.launcher.submit(job.id, job.attempt, job.kind)
        except LaunchError as error:
            self._tell_once(job, "waiting", f"waits for Ray: {error}")
            return
        context.store.set_ray_submission(job.id, job.attempt, name)
        context.store.append_event(
            job.id, "submitted", f"driver submitted to Ray as {name}", attempt=job.attempt
        )
        self._watched[job.id] = job.attempt
        if context.store.get_job(job.id).state not in ACTIVE:
            self._stop(name)

    def _tell_once(self, job: JobRecord, kind: str, message: str) -> None:
        if (job.id, job.attempt) not in self._told:
            self._told.add((job.id, job.attempt))
            self._context.store.append_event(
                job.id, kind, message, level="warning", attempt=job.attempt
            )

    # -- watching -------------------------------------------------------------------------------

    def _check(self, job: JobRecord) -> None:
        name = submission_id(job.id, job.attempt)
        self._watched[job.id] = job.attempt
        seen = self._context.launcher.status(name)
        if seen.status == "unobservable":
            log.warning("job %s cannot be observed: %s", job.id, seen.message)
        elif seen.status in ENDED:
            self._close(job, seen)
        elif self._is_overdue(job):
            self._enforce_cancel(job, name)

    def _close(self, job: JobRecord, seen: Observation) -> None:
        """The driver is gone; if it left no record of its own, write one."""
        now = self._context.store.get_job(job.id)
        if now.state not in ACTIVE or now.attempt != job.attempt:
            return
        state: JobState = "failed"
        cause = f"driver ended without a record: Ray job {seen.status}"
        cause += f" ({seen.message.strip()})" if seen.message else ""
        if job.cancel_requested_at is not None:
            state, cause = "cancelled", "cancelled on request"
        elif seen.status == "missing":
            state = "interrupted"
            cause = "the Ray cluster it ran on is gone; resume it to go on from its last checkpoint"
        elif seen.status == "stopped":
            state, cause = "interrupted", "its Ray job was stopped"
        tail = self._log(submission_id(job.id, job.attempt))[-_LOG_TAIL:]
        if tail:
            self._context.store.append_event(
                job.id,
                "driver_log",
                "the end of the driver's log",
                level="warning",
                data={"tail": tail},
                attempt=job.attempt,
            )
        self._context.store.set_state(job.id, state, attempt=job.attempt, cause=cause)

    def _is_overdue(self, job: JobRecord) -> bool:
        asked, grace = job.cancel_requested_at, self._context.settings.cancel_grace_seconds
        return asked is not None and time.time() - asked > grace

    def _enforce_cancel(self, job: JobRecord, name: str) -> None:
        """The driver did not obey in time: stop its Ray job, then write the record for it."""
        grace = self._context.settings.cancel_grace_seconds
        if self._stop(name):
            cause = f"cancelled on request; its driver was stopped after {grace:g} s"
            self._context.store.set_state(job.id, "cancelled", attempt=job.attempt, cause=cause)

    def _stop(self, name: str) -> bool:
        """Stop a Ray job and wait for its end; False when that could not be seen."""
        try:
            self._context.launcher.stop(name)
        except LaunchError as error:
            log.warning("%s", error)
            return False
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if self._context.launcher.status(name).status in ENDED:
                return True
            time.sleep(0.2)
        log.warning("Ray job %s had not ended %g s after it was stopped", name, _STOP_SECONDS)
        return False

    # -- logs -----------------------------------------------------------------------------------

    def _keep_logs(self, active: dict[str, int]) -> None:
        """Copy the logs of drivers that have ended to the home folder: Ray's go with Ray."""
        for job_id, attempt in list(self._watched.items()):
            if active.get(job_id) == attempt:
                continue
            name = submission_id(job_id, attempt)
            job = self._context.store.get_job(job_id)
            seen = self._context.launcher.status(name)
            if seen.status == "unobservable":
                continue
            if job.state == "cancelled" and seen.status not in ENDED:
                # Cancelled between submission and start: the fence holds, now free its place.
                self._stop(name)
            if seen.status in ENDED:
                del self._watched[job_id]
                self.keep_log(job_id, attempt)

    def keep_log(self, job_id: str, attempt: int) -> None:
        """Append an attempt's log to ``driver.log``."""
        text = self._log(submission_id(job_id, attempt))
        if text:
            file = self._context.settings.home.job(job_id).driver_log
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"--- attempt {attempt} ---\n{text}\n")

    def _log(self, name: str) -> str:
        try:
            return self._context.launcher.logs(name)
        except LaunchError as error:
            log.info("%s", error)
            return ""
