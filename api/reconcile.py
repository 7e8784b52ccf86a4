"""Brings together what the store says and what Ray shows: starts queued jobs, closes the records
of drivers that died without a word, and enforces cancels that a driver did not obey.

Only observed facts end a job. A cluster that does not answer says nothing about its jobs: those
that nothing else vouches for are ``reconciling`` until it does. Of several control planes on one
store, one looks after the jobs at a time; another takes over when it is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from api.dependencies import Context
from services.launcher import ENDED, LaunchError, Observation, submission_id
from services.spec.validation import cluster_problems
from services.stores.lifecycle import ACTIVE, JobState, is_legal
from services.stores.protocol import (
    ChangedMeanwhile,
    IllegalTransition,
    JobNotFound,
    JobRecord,
    StaleAttempt,
    StoreError,
    StoreUnavailable,
)

log = logging.getLogger("laconic.reconcile")

_STOP_SECONDS: Final = 10.0
"""Longest wait for Ray to end a driver that was stopped."""
_LEAVE_SECONDS: Final = 10.0
"""Longest wait for the driver of the attempt before, whose record is written, to let go of its
workers; then it is stopped."""
_FRESH_SECONDS: Final = 10.0
"""A heartbeat younger than this is an observation too: the driver writes one every two seconds."""
_LEASE: Final = "reconciler"
_TIDY_SECONDS: Final = 60.0
"""Time between two rounds of trimming and removing old records."""
_LOG_TAIL: Final = 4000
"""Characters of a dead driver's log that go into its last event."""


class Reconciler:
    """A thread of the control plane."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: set[tuple[str, int]] = set()
        self._watched: dict[str, int] = {}
        self._owner = _owner(context)
        self._tidied = 0.0
        self._thread = threading.Thread(target=self._loop, name="reconciler", daemon=True)
        self._ending = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the look it is taking; keep the logs of drivers that just ended,
        and let another control plane take over."""
        self._ending.set()
        self._context.wake.set()
        self._thread.join(timeout=60)
        try:
            self._keep_last_logs()
            self._context.store.release(_LEASE, self._owner)
        except StoreUnavailable as error:
            log.warning("%s", error)  # the lease runs out by itself

    def _keep_last_logs(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            active = {j.id: j.attempt for j in self._active()}
            if self._watched.items() <= active.items():
                return
            # A driver writes its record before it exits: Ray may see its end a little later.
            self._keep_logs(active)
            time.sleep(0.2)

    def _loop(self) -> None:
        lease_seconds = self._context.settings.lease_seconds
        while not self._ending.is_set():
            self._context.wake.clear()
            try:
                leads = self._context.store.hold(_LEASE, self._owner, lease_seconds)
                if leads:
                    self.look()
                    self._tidy()
                    self._context.last_looked = time.time()
                self._context.leads = leads
                self._context.last_reconciled = time.time()
            except StoreUnavailable as error:
                self._context.leads = False
                log.warning("%s", error)
            except Exception:
                log.exception("a look at the jobs failed; the next one follows")
            self._context.wake.wait(self._context.settings.reconcile_seconds)

    def look(self) -> None:
        """Go through all jobs once."""
        jobs = self._active()
        for job in jobs:
            if job.ray_submission_id is not None:
                self._guarded(job, self._check)
            elif job.state != "queued":
                # Its driver has reported, so it was submitted: whoever did so could not write it
                # down any more.
                self._guarded(job, self._note_submission)
        self._keep_logs({j.id: j.attempt for j in jobs if j.ray_submission_id is not None})
        # The oldest first.
        waiting = [j for j in reversed(jobs) if j.ray_submission_id is None and j.state == "queued"]
        # Counted anew, for some may just have ended; and not at all where nobody waits.
        busy = sum(j.ray_submission_id is not None for j in self._active()) if waiting else 0
        for job in waiting:
            if self._context.closing.is_set():
                break
            if busy >= self._context.settings.max_running_jobs:
                break
            busy += 1
            self._guarded(job, self._launch)

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        if removed := self._context.settings.retention.apply(self._context.store):
            log.info("removed from the store, as their time was up: %s", ", ".join(removed))

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
        except (StaleAttempt, IllegalTransition, ChangedMeanwhile) as error:
            # Somebody else moved the job between our reading and our writing: theirs counts.
            log.info("job %s: %s", job.id, error)
        except StoreError:
            log.exception("job %s", job.id)

    # -- starting -------------------------------------------------------------------------------

    def _launch(self, job: JobRecord) -> None:
        context = self._context
        if self._is_leaving(job):
            return
        # The size of the cluster may not have been known when the job was submitted.
        size = context.launcher.cluster_size()
        if size and (problem := next(cluster_problems(job.spec, size), None)):
            cause = f"{problem.pointer}: {problem.detail}"
            context.store.set_state(
                job.id, "failed", attempt=job.attempt, cause=cause, expect=job.revision
            )
            return
        try:
            name = context.launcher.submit(job.id, job.attempt, job.kind)
        except LaunchError as error:
            self._tell_once(job, "waiting", f"waits for Ray: {error}")
            return
        # Where it has ended already, its driver must go all the same.
        with contextlib.suppress(StaleAttempt):
            self._note_submission(job)
        if context.store.get_job(job.id).state not in ACTIVE:
            self._stop(name)

    def _note_submission(self, job: JobRecord) -> None:
        name = submission_id(job.id, job.attempt)
        self._context.store.set_ray_submission(job.id, job.attempt, name)
        self._context.store.append_event(
            job.id, "submitted", f"driver submitted to Ray as {name}", attempt=job.attempt
        )
        self._watched[job.id] = job.attempt

    def _is_leaving(self, job: JobRecord) -> bool:
        """Whether the driver of the attempt before still has its workers, or may have."""
        if job.attempt == 1:
            return False
        name = submission_id(job.id, job.attempt - 1)
        if self._context.launcher.status(name).status in ENDED:
            return False
        return time.time() - job.updated_at < _LEAVE_SECONDS or not self._stop(name)

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
        if seen.status in ENDED:
            self._close(job, seen)
            return
        doubt = self._doubt(job, seen)
        if doubt is not None:
            self._lose_sight(job, doubt)
        elif job.state == "reconciling" and job.held is not None:
            self._context.store.set_state(job.id, job.held, attempt=job.attempt)
        if seen.status != "unobservable" and self._is_overdue(job):
            self._enforce_cancel(job, name)

    def _doubt(self, job: JobRecord, seen: Observation) -> str | None:
        """Why it cannot be said that the job is at work; None where something vouches for it."""
        if job.heartbeat_at is not None and time.time() - job.heartbeat_at < _FRESH_SECONDS:
            return None
        if seen.status == "unobservable":
            return f"Ray does not answer: {seen.message.strip()}"
        patience = self._context.settings.heartbeat_overdue_seconds
        last = job.heartbeat_at or job.started_at
        if last is not None and time.time() - last > patience:
            return (
                f"no sign of life from its driver for {time.time() - last:.0f} s, though Ray says "
                f"that it is {seen.status}"
            )
        return None

    def _lose_sight(self, job: JobRecord, doubt: str) -> None:
        if is_legal(job.state, "reconciling"):
            self._context.store.set_state(job.id, "reconciling", attempt=job.attempt, cause=doubt)
        else:
            # No driver has reported yet: waiting for one is still all there is to say.
            log.warning("job %s: %s", job.id, doubt)

    def _close(self, job: JobRecord, seen: Observation) -> None:
        """The driver is gone; if it left no record of its own, write one."""
        now = self._context.store.get_job(job.id)
        if now.state not in ACTIVE or now.attempt != job.attempt:
            return
        state: JobState = "failed"
        cause = f"driver ended without a record: Ray job {seen.status}"
        cause += f" ({seen.message.strip()})" if seen.message else ""
        if now.cancel_requested_at is not None:
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
        # Somebody may ask for a cancel just now: then the next look counts.
        self._context.store.set_state(
            job.id, state, attempt=job.attempt, cause=cause, expect=now.revision
        )

    def _is_overdue(self, job: JobRecord) -> bool:
        asked = job.cancel_requested_at
        return asked is not None and time.time() - asked > self._grace(job)

    def _grace(self, job: JobRecord) -> float:
        given = job.cancel_grace_seconds
        return self._context.settings.cancel_grace_seconds if given is None else given

    def _enforce_cancel(self, job: JobRecord, name: str) -> None:
        """The driver did not obey in time: stop its Ray job, then write the record for it."""
        if self._stop(name):
            cause = f"cancelled on request; its driver was stopped after {self._grace(job):g} s"
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
            try:
                job = self._context.store.get_job(job_id)
            except JobNotFound:  # its time was up
                del self._watched[job_id]
                continue
            seen = self._context.launcher.status(name)
            if seen.status == "unobservable":
                continue
            before_start = job.state not in ACTIVE and job.started_at is None
            if (job.state == "cancelled" or before_start) and seen.status not in ENDED:
                # Taken out of the queue between submission and start: the fence holds, now free
                # its place.
                self._stop(name)
            if seen.status in ENDED:
                del self._watched[job_id]
                self.keep_log(job_id, attempt)
                self._context.settings.retention.trim(self._context.store, job_id)

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


def _owner(context: Context) -> str:
    """What the lease is held as. Who is alone on a home folder is still who it was after a start,
    and need not wait for the lease of a process that was killed."""
    host = socket.gethostname()
    if context.settings.alone:
        return f"{host}:{context.settings.home.root}"
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
