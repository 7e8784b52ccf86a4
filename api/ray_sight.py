"""Ray as one look at the jobs sees it: a cluster that takes long and does not answer is not asked
again before the next look, so that a look costs one such wait and not one for each job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.launcher import Launcher, LaunchError, Observation
from services.spec.kind import JobKind
from services.spec.validation import ClusterSize

_SLOW_SECONDS: Final = 1.0
"""A failure that takes this long is a wait; a quick one may be this job's alone, and costs
nothing."""


class RaySight:
    """A :class:`services.launcher.Launcher` over another one, for one thread."""

    def __init__(self, launcher: Callable[[], Launcher]) -> None:
        """Nothing is asked yet. ``launcher``: returns the one to ask."""
        self._launcher = launcher
        self._dark: str | None = None

    def open(self) -> None:
        """Begin a look: the cluster may answer again."""
        self._dark = None

    @property
    def is_dark(self) -> bool:
        """Whether the cluster did not answer in this look."""
        return self._dark is not None

    def cluster_size(self) -> ClusterSize | None:
        if self._dark is not None:
            return None
        began = time.monotonic()
        size = self._launcher().cluster_size()
        if size is None:
            self._note(began, "it does not tell its size")
        return size

    def submit(self, job_id: str, attempt: int, kind: JobKind) -> str:
        with self._asking():
            return self._launcher().submit(job_id, attempt, kind)

    def status(self, submission_id: str) -> Observation:
        if self._dark is not None:
            return Observation("unobservable", self._dark)
        began = time.monotonic()
        seen = self._launcher().status(submission_id)
        if seen.status == "unobservable":
            self._note(began, seen.message)
        return seen

    def stop(self, submission_id: str) -> None:
        with self._asking():
            self._launcher().stop(submission_id)

    def logs(self, submission_id: str) -> str:
        with self._asking():
            return self._launcher().logs(submission_id)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if self._dark is not None:
            raise LaunchError(f"Ray does not answer: {self._dark}")
        began = time.monotonic()
        try:
            yield
        except LaunchError as error:
            self._note(began, str(error))
            raise

    def _note(self, began: float, message: str) -> None:
        if time.monotonic() - began >= _SLOW_SECONDS:
            self._dark = message
