"""Verbs that make jobs and steer them. Those on a job take evaluations too, where it says so."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from api.answers.plans import ValidJob
from api.client.verbs import Answer, Verbs, given
from api.patience import Patience
from api.schemas import Evaluation, Job, JobPage, StageChange
from api.transport import ApiError, Unreachable
from services.estimate.estimate import Estimate
from services.stores.lifecycle import ACTIVE

AnyJob = Job | Evaluation


class NotYetEnded(Exception):
    """A job was waited for, and goes on."""


class Steering(Verbs):
    """Jobs and evaluations: make, look at, ask."""

    def submit(self, body: Mapping[str, Any], key: str | None = None) -> Job:
        """``{"preset", "overrides"}`` or ``{"spec"}``, with ``labels`` if wanted; return the job.

        ``key``: idempotency key; a program that may be started twice gives one of its own.
        """
        return self._ask(Job, "POST", "/v1/jobs", json=dict(body), headers=_headers(key=key))

    def validate(self, body: Mapping[str, Any]) -> ValidJob:
        """What submitting would answer, with warnings; nothing is created."""
        return self._ask(ValidJob, "POST", "/v1/jobs:validate", json=dict(body))

    def estimate(self, body: Mapping[str, Any]) -> Estimate:
        """Tokens, time and memory of a job that is not created."""
        return self._ask(Estimate, "POST", "/v1/jobs:estimate", json=dict(body))

    def evaluate(self, spec: Mapping[str, Any]) -> Evaluation:
        """Submit an evaluation; return it."""
        return self._ask(Evaluation, "POST", "/v1/evaluations", json={"spec": dict(spec)})

    def evaluations(self, limit: int = 20, after: str | None = None) -> JobPage:
        """A page of evaluations, newest first."""
        return self._get(JobPage, "/v1/evaluations", limit=limit, after=after)

    def jobs(
        self,
        limit: int = 20,
        after: str | None = None,
        *,
        states: Sequence[str] = (),
        name: str | None = None,
        stage: str | None = None,
        created_after: float | None = None,
        created_before: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> JobPage:
        """A page of jobs, newest first; ``after`` is ``next_cursor`` of the page before. Times are
        Unix seconds."""
        filters = {"name": name, "stage": stage}
        filters |= {f"label[{key}]": value for key, value in (labels or {}).items()}
        times = {"created_after": created_after, "created_before": created_before}
        page = {"limit": limit, "after": after, "state": list(states)}
        return self._get(JobPage, "/v1/jobs", **page, **filters, **times)

    def job(self, job_id: str) -> AnyJob:
        """A job or an evaluation, with its specification."""
        return self._get(_kind(job_id), job_path(job_id))

    def etag(self, job_id: str) -> str:
        """The tag of a job as it is, for ``if_match``."""
        return str(self._http.send("GET", job_path(job_id)).headers["etag"])

    def cancel(
        self,
        job_id: str,
        *,
        reason: str | None = None,
        grace_seconds: float | None = None,
        if_match: str | None = None,
    ) -> AnyJob:
        """End a job or an evaluation for good; its driver may take ``grace_seconds`` for that.

        ``if_match``: refused (412) where the job has changed since it had this tag.
        """
        wish = given(reason=reason, grace_seconds=grace_seconds)
        return self._wish(_kind(job_id), job_id, "cancel", wish, if_match)

    def pause(
        self, job_id: str, *, reason: str | None = None, if_match: str | None = None
    ) -> AnyJob:
        """Free the workers of a job; :meth:`resume` goes on with it."""
        return self._wish(Job, job_id, "pause", given(reason=reason), if_match)

    def resume(
        self,
        job_id: str,
        *,
        from_step: int | None = None,
        reason: str | None = None,
        if_match: str | None = None,
    ) -> AnyJob:
        """Queue a job or an evaluation again that was paused or interrupted, or has failed. A job
        may go back to the checkpoint of ``from_step``."""
        wish = given(reason=reason, from_step=from_step)
        return self._wish(_kind(job_id), job_id, "resume", wish, if_match)

    def change_stage(
        self,
        job_id: str,
        to: str,
        *,
        at: Literal["next_step"] = "next_step",
        reason: str | None = None,
        if_match: str | None = None,
    ) -> StageChange:
        """Go on with the ``next`` stage, or one by name, after the step that is under way."""
        wish = given(to=to, at=at, reason=reason)
        return self._wish(StageChange, job_id, "stage", wish, if_match)

    def fork(
        self,
        job_id: str,
        step: int | None = None,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        reason: str | None = None,
        key: str | None = None,
    ) -> Job:
        """Make a job that goes on from a checkpoint of another, the newest unless ``step`` says
        which; ``overrides`` change what is yet to come. ``key`` as in :meth:`submit`."""
        body = given(step=step, name=name, labels=labels, overrides=overrides, reason=reason)
        path = job_path(job_id, "fork")
        return self._ask(Job, "POST", path, json=body, headers=_headers(key=key))

    def wait(
        self, job_id: str, poll_seconds: float = 1.0, *, timeout_seconds: float | None = None
    ) -> AnyJob:
        """Return the job once it has ended; a control plane that restarts meanwhile is waited
        for.

        Raises:
            NotYetEnded: it goes on after ``timeout_seconds``.
        """
        patience, began = Patience(), time.monotonic()
        while True:
            try:
                job = self.job(job_id)
                patience.there()
                if job.state not in ACTIVE:
                    return job
            except (ApiError, Unreachable) as error:
                patience.missed(error)
            if timeout_seconds is not None and time.monotonic() - began >= timeout_seconds:
                raise NotYetEnded(f"{job_id} goes on after {timeout_seconds:g} s")
            time.sleep(poll_seconds)

    def _wish(
        self,
        answer: type[Answer],
        job_id: str,
        what: str,
        wish: Mapping[str, Any],
        if_match: str | None,
    ) -> Answer:
        headers = _headers(if_match=if_match)
        return self._ask(answer, "POST", job_path(job_id, what), json=dict(wish), headers=headers)


def is_evaluation(job_id: str) -> bool:
    """Whether an id is that of an evaluation, not of a training job."""
    return job_id.startswith("eval-")


def job_path(job_id: str, what: str = "") -> str:
    """Where a job or an evaluation is, or something of it."""
    place = "evaluations" if is_evaluation(job_id) else "jobs"
    return f"/v1/{place}/{quote(job_id, safe='')}" + (f"/{what}" if what else "")


def _kind(job_id: str) -> type[Job] | type[Evaluation]:
    return Evaluation if is_evaluation(job_id) else Job


def _headers(key: str | None = None, if_match: str | None = None) -> dict[str, str]:
    return given(**{"Idempotency-Key": key, "If-Match": if_match})
