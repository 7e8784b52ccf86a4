"""Keeps the logs of drivers that have ended: Ray's go with Ray."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from api.dependencies import Context
from api.ray_sight import RaySight
from services.launcher import ENDED, LaunchError, submission_id
from services.stores.lifecycle import ACTIVE
from services.stores.protocol import JobNotFound

log = logging.getLogger("laconic.reconcile")


class DriverLogs:
    """The drivers that were seen at work, until their log is in the home folder."""

    def __init__(self, context: Context, ray: RaySight, stop: Callable[[str], bool]) -> None:
        """Nothing is watched yet.

        Args:
            context: of the control plane.
            ray: what is asked.
            stop: ends a Ray job.
        """
        self._context, self._ray, self._stop = context, ray, stop
        self._watched: dict[str, int] = {}

    def watch(self, job_id: str, attempt: int) -> None:
        """An attempt has, or had, a driver."""
        self._watched[job_id] = attempt

    def complete(self, active: Mapping[str, int]) -> bool:
        """Whether all that are watched are still at work."""
        return self._watched.items() <= active.items()

    def keep(self, active: Mapping[str, int], until: float = float("inf")) -> None:
        """Copy the logs of drivers that have ended.

        Args:
            active: attempts that have a driver by the store.
            until: monotonic time after which no other driver is begun with.
        """
        for job_id, attempt in list(self._watched.items()):
            if active.get(job_id) == attempt:
                continue
            if self._ray.is_dark or time.monotonic() > until:
                break
            self._keep(job_id, attempt)

    def _keep(self, job_id: str, attempt: int) -> None:
        name = submission_id(job_id, attempt)
        try:
            job = self._context.store.get_job(job_id)
        except JobNotFound:  # its time was up
            del self._watched[job_id]
            return
        seen = self._ray.status(name)
        if seen.status == "unobservable":
            return
        left_queue = job.state not in ACTIVE and job.started_at is None
        before_start = left_queue and job.attempt == attempt
        if (job.state == "cancelled" or before_start) and seen.status not in ENDED:
            # Taken out of the queue between submission and start: the fence holds, now free its
            # place.
            self._stop(name)
        if seen.status not in ENDED:
            return
        del self._watched[job_id]
        self._write(job_id, attempt)
        self._context.settings.retention.trim(self._context.store, job_id)

    def _write(self, job_id: str, attempt: int) -> None:
        """Append an attempt's log to ``driver.log``."""
        text = self.text(submission_id(job_id, attempt))
        if text:
            file = self._context.settings.home.job(job_id).driver_log
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"--- attempt {attempt} ---\n{text}\n")

    def text(self, name: str) -> str:
        """What a driver printed; nothing where that cannot be had."""
        try:
            return self._ray.logs(name)
        except LaunchError as error:
            log.info("%s", error)
            return ""
