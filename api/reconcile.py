"""Brings together what the store says and what Ray shows: starts queued jobs, closes the records
of drivers that died without a word, resumes their jobs, and enforces cancels that a driver did not
obey.

Only observed facts end a job. A cluster that does not answer says nothing about its jobs: those
that nothing else vouches for are ``reconciling`` until it does. Nor does one that says that a
driver is gone which is still heard: it may be another cluster. Of several control planes on one
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

from api.auto_resume import AutoResume
from api.dependencies import Context
from api.driver_logs import DriverLogs
from api.lease import Lease
from api.pulse import Pulse
from api.ray_sight import RaySight
from services.launcher import ENDED, LaunchError, Observation, submission_id
from services.restarts import Resume
from services.spec.validation import cluster_problems
from services.stores.lifecycle import ACTIVE, JobState, is_legal
from services.stores.protocol import (
    ChangedMeanwhile,
    IllegalTransition,
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
_CONTRADICTION_SECONDS: Final = 30.0
"""How long Ray may say that a driver is gone which is still heard, before the job shows it."""
_END_SECONDS: Final = 10.0
"""Longest wait for the look under way and for the logs of drivers that just ended, when the control
plane ends."""
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
        self._ray = RaySight(lambda: context.launcher)
        self._logs = DriverLogs(context, self._ray, self._stop)
        self._restarts = AutoResume(context)
        self._pulse = Pulse()
        self._contradicted: dict[str, float] = {}
        seconds = context.settings.lease_seconds
        self._lease = Lease(context.store, _LEASE, _owner(context), seconds)
        self._tidied = 0.0
        self._thread = threading.Thread(target=self._loop, name="reconciler", daemon=True)
        self._ending = threading.Event()

    def start(self) -> None:
        self._thread.start()
        self._lease.start()

    def stop(self) -> None:
        """End the thread; keep the logs of drivers that just ended, and let another control plane
        take over. Takes :data:`_END_SECONDS` and one answer of Ray at most."""
        deadline = time.monotonic() + _END_SECONDS
        self._ending.set()
        self._context.wake.set()
        self._thread.join(timeout=_END_SECONDS)
        has_ended = not self._thread.is_alive()
        if has_ended:
            try:
                self._keep_last_logs(deadline)
            except StoreUnavailable as error:
                log.warning("%s", error)
        else:
            log.warning("Ray has not answered for %g s: not waited for any longer", _END_SECONDS)
        # What the thread still does would be done beside another control plane.
        self._lease.end(release=has_ended)

    def _keep_last_logs(self, deadline: float) -> None:
        while time.monotonic() < deadline and not self._ray.is_dark:
            active = {j.id: j.attempt for j in self._active()}
            if self._logs.complete(active):
                return
            # A driver writes its record before it exits: Ray may see its end a little later.
            self._logs.keep(active, deadline)
            time.sleep(0.2)

    def _loop(self) -> None:
        while not self._ending.is_set():
            self._context.wake.clear()
            try:
                leads = self._lease.take()
                if leads and not self._context.leads:
                    self._restarts.adopt()
                self._context.leads = leads
                if leads:
                    self.look()
                    self._tidy()
                    self._context.last_looked = time.time()
                self._context.last_reconciled = time.time()
            except StoreUnavailable as error:
                self._context.leads = False
                log.warning("%s", error)
            except Exception:
                log.exception("a look at the jobs failed; the next one follows")
            self._context.wake.wait(self._context.settings.reconcile_seconds)

    @property
    def _is_over(self) -> bool:
        """Whether the look is to end before it has seen everything."""
        return self._ending.is_set() or not self._lease.held

    def look(self) -> None:
        """Go through all jobs once."""
        self._ray.open()
        jobs = self._active()
        self._pulse.keep({j.id for j in jobs})
        self._restarts.see({j.id for j in jobs})
        for job in jobs:
            if job.ray_submission_id is not None:
                self._guarded(job, self._check)
            elif job.state != "queued":
                # Its driver has reported, so it was submitted: whoever did so could not write it
                # down any more.
                self._guarded(job, self._note_submission)
        if not self._is_over:
            self._logs.keep({j.id: j.attempt for j in jobs if j.ray_submission_id is not None})
        if not self._is_over:
            self._restarts.work()
        # The oldest first.
        waiting = [j for j in reversed(jobs) if j.ray_submission_id is None and j.state == "queued"]
        # Counted anew, for some may just have ended; and not at all where nobody waits.
        busy = sum(j.ray_submission_id is not None for j in self._active()) if waiting else 0
        for job in waiting:
            if self._context.closing.is_set() or self._ray.is_dark:
                break
            if busy >= self._context.settings.max_running_jobs:
                break
            if self._restarts.is_due(job):
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
        if self._is_over:
            return
        self._lease.work_goes_on()
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
        size = self._ray.cluster_size()
        if size and (problem := next(cluster_problems(job.spec, size), None)):
            cause = f"{problem.pointer}: {problem.detail}"
            context.store.set_state(
                job.id, "failed", attempt=job.attempt, cause=cause, expect=job.revision
            )
            return
        try:
            name = self._ray.submit(job.id, job.attempt, job.kind)
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
        self._logs.watch(job.id, job.attempt)

    def _is_leaving(self, job: JobRecord) -> bool:
        """Whether the driver of an attempt before still has its workers, or may have.

        An attempt may have been left before it had a driver, so the newest one that Ray knows
        counts; that one was started when those before it had left.
        """
        for attempt in range(job.attempt - 1, 0, -1):
            name = submission_id(job.id, attempt)
            seen = self._ray.status(name).status
            if seen == "missing":
                continue
            if seen in ENDED:
                return False
            if seen == "unobservable" or self._ending.is_set():
                return True
            return time.time() - job.updated_at < _LEAVE_SECONDS or not self._stop(name)
        return False

    def _tell_once(self, job: JobRecord, kind: str, message: str) -> None:
        if (job.id, job.attempt) not in self._told:
            self._told.add((job.id, job.attempt))
            self._context.store.append_event(
                job.id, kind, message, level="warning", attempt=job.attempt
            )

    # -- watching -------------------------------------------------------------------------------

    def _check(self, job: JobRecord) -> None:
        name = submission_id(job.id, job.attempt)
        self._logs.watch(job.id, job.attempt)
        seen = self._ray.status(name)
        if seen.status in ENDED and not self._is_heard(job):
            self._close(job, seen)
            return
        doubt = self._doubt(job, seen)
        if doubt is not None:
            self._lose_sight(job, doubt)
        elif job.state == "reconciling" and job.held is not None and seen.status not in ENDED:
            self._context.store.set_state(job.id, job.held, attempt=job.attempt)
        if seen.status != "unobservable" and self._is_overdue(job):
            self._enforce_cancel(job, name)

    def _is_heard(self, job: JobRecord) -> bool:
        """Whether the driver has just given a sign of life, which is an observation too."""
        age = self._pulse.age(job)
        return age is not None and age < self._context.settings.heartbeat_fresh_seconds

    def _doubt(self, job: JobRecord, seen: Observation) -> str | None:
        """Why it cannot be said that the job is at work; None where something vouches for it."""
        if seen.status in ENDED:
            return self._contradiction(job, seen)
        self._contradicted.pop(job.id, None)
        if self._is_heard(job):
            return None
        if seen.status == "unobservable":
            return f"Ray does not answer: {seen.message.strip()}"
        silence = self._pulse.age(job)
        if silence is None and job.started_at is not None:
            silence = time.time() - job.started_at
        if silence is not None and silence > self._context.settings.heartbeat_overdue_seconds:
            return (
                f"no sign of life from its driver for {silence:.0f} s, though Ray says that it is "
                f"{seen.status}"
            )
        return None

    def _contradiction(self, job: JobRecord, seen: Observation) -> str | None:
        """What is to be said of a driver that is heard though Ray says that it is gone."""
        since = self._contradicted.setdefault(job.id, time.monotonic())
        if time.monotonic() - since < _CONTRADICTION_SECONDS:
            return None
        return (
            f"Ray says that its driver is {seen.status}, though the driver is heard: is it another "
            "Ray that this control plane asks (RAY_API_SERVER_ADDRESS)?"
        )

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
        state, cause = _end_of(now, seen)
        if state != "cancelled":
            decision = self._restarts.decide(now)
            if isinstance(decision, Resume):
                state = "interrupted"
            elif decision.why is not None:
                cause += f"; {decision.why}"
        tail = self._logs.text(submission_id(job.id, job.attempt))[-_LOG_TAIL:]
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
        if state == "interrupted":
            self._restarts.take_up(job.id)

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
            self._ray.stop(name)
        except LaunchError as error:
            log.warning("%s", error)
            return False
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and not self._ending.is_set() and not self._ray.is_dark:
            if self._ray.status(name).status in ENDED:
                return True
            time.sleep(0.2)
        log.warning("Ray job %s was stopped and has not been seen to end yet", name)
        return False


def _end_of(job: JobRecord, seen: Observation) -> tuple[JobState, str]:
    """What a job ends as, and why, whose driver is gone without a record."""
    if job.cancel_requested_at is not None:
        return "cancelled", "cancelled on request"
    if seen.status == "missing":
        return "interrupted", "the Ray cluster it ran on is gone"
    if seen.status == "stopped":
        return "interrupted", "its Ray job was stopped"
    cause = f"driver ended without a record: Ray job {seen.status}"
    return "failed", cause + (f" ({seen.message.strip()})" if seen.message else "")


def _owner(context: Context) -> str:
    """What the lease is held as. Who is alone on a home folder is still who it was after a start,
    and need not wait for the lease of a process that was killed."""
    host = socket.gethostname()
    if context.settings.alone:
        return f"{host}:{context.settings.home.root}"
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
