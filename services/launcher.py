"""Starts drivers: one Ray job for each attempt of a job."""

from __future__ import annotations

import logging
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from services.spec.kind import JobKind
from services.spec.validation import ClusterSize

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

log = logging.getLogger("laconic.launcher")

CALL_SECONDS: Final = 15.0
"""Longest wait for the Ray dashboard to take a job, or to tell the size of the cluster."""
ASK_SECONDS: Final = 6.0
"""Longest wait for one answer on a job."""

_DRIVERS: Final[dict[JobKind, str]] = {
    "training": "actors.driver",
    "evaluation": "actors.evaluation_driver",
}

RayStatus = Literal[
    "pending", "running", "succeeded", "failed", "stopped", "missing", "unobservable"
]
"""``missing``: the cluster answers and knows no such job. ``unobservable``: the cluster does not
answer, which says nothing about the job."""

ENDED: Final[frozenset[RayStatus]] = frozenset({"succeeded", "failed", "stopped", "missing"})
"""Observed facts after which no driver runs any more."""


@dataclass(frozen=True)
class Observation:
    """What was seen of a Ray job."""

    status: RayStatus
    message: str = ""


class LaunchError(RuntimeError):
    """The cluster did not take the job, or could not be asked; trying again is safe."""


class Launcher(Protocol):
    """Starts, watches and stops the driver of an attempt."""

    def cluster_size(self) -> ClusterSize | None:
        """What the cluster offers; None where it cannot be asked."""
        ...

    def submit(self, job_id: str, attempt: int, kind: JobKind) -> str:
        """Start the driver and return the submission id. Submitting again changes nothing.

        Raises:
            LaunchError: the cluster did not take the job.
        """
        ...

    def status(self, submission_id: str) -> Observation: ...

    def stop(self, submission_id: str) -> None:
        """Ask Ray to end the driver; nothing happens where there is none.

        Raises:
            LaunchError: the cluster could not be asked.
        """
        ...

    def logs(self, submission_id: str) -> str:
        """Everything the driver printed.

        Raises:
            LaunchError: the cluster could not be asked, or knows no such job.
        """
        ...


def submission_id(job_id: str, attempt: int) -> str:
    """The id of an attempt's Ray job; being fixed, it makes submission idempotent."""
    return f"{job_id}-{attempt}"


class RayJobLauncher:
    """:class:`Launcher` over the Ray Jobs API."""

    def __init__(self, address: str, home: Path) -> None:
        """Nothing is contacted yet.

        Args:
            address: of the Ray dashboard, e.g. ``http://127.0.0.1:8265``.
            home: the home folder handed to the driver.
        """
        self._address = address
        self._home = home
        self._connected: JobSubmissionClient | None = None

    def cluster_size(self) -> ClusterSize | None:
        from ray.util.state import list_nodes

        try:
            nodes = list_nodes(
                address=self._address,
                filters=[("state", "=", "ALIVE")],
                timeout=int(CALL_SECONDS),
                detail=True,
            )
        except Exception as error:
            log.warning("cannot ask %s for the size of the cluster: %s", self._address, error)
            return None
        if not nodes:
            return None  # The dashboard is up before the first node is.
        totals = [n.resources_total or {} for n in nodes]
        return ClusterSize(
            cpus=sum(t.get("CPU", 0) for t in totals), gpus=sum(t.get("GPU", 0) for t in totals)
        )

    def submit(self, job_id: str, attempt: int, kind: JobKind) -> str:
        name = submission_id(job_id, attempt)
        seen = self.status(name)
        if seen.status == "unobservable":
            raise LaunchError(f"Ray at {self._address} does not answer: {seen.message}")
        if seen.status != "missing":
            return name
        # exec: the driver takes the shell's place, so that a signal to the job reaches it.
        entrypoint = "exec " + shlex.join(
            [
                sys.executable,
                "-m",
                _DRIVERS[kind],
                "--job",
                job_id,
                "--attempt",
                str(attempt),
                "--home",
                str(self._home),
            ]
        )
        try:
            return str(
                self._client().submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    metadata={"laconic_job": job_id, "laconic_attempt": str(attempt)},
                )
            )
        except Exception as error:
            # The answer may have been lost after the job was taken.
            if self.status(name).status not in ("missing", "unobservable"):
                return name
            raise LaunchError(f"Ray at {self._address} did not take {name}: {error}") from error

    def status(self, submission_id: str) -> Observation:
        try:
            info = self._client().get_job_info(submission_id)
        except Exception as error:
            if _is_missing(error):
                return Observation("missing", "the Ray cluster knows no such job")
            return Observation("unobservable", str(error))
        known: dict[str, RayStatus] = {
            "PENDING": "pending",
            "RUNNING": "running",
            "SUCCEEDED": "succeeded",
            "FAILED": "failed",
            "STOPPED": "stopped",
        }
        return Observation(known.get(str(info.status.value), "unobservable"), info.message or "")

    def stop(self, submission_id: str) -> None:
        try:
            self._client().stop_job(submission_id)
        except Exception as error:
            if not _is_missing(error):
                raise LaunchError(f"cannot stop {submission_id}: {error}") from error

    def logs(self, submission_id: str) -> str:
        try:
            return str(self._client().get_job_logs(submission_id))
        except Exception as error:
            raise LaunchError(f"cannot read the log of {submission_id}: {error}") from error

    def _client(self) -> JobSubmissionClient:
        if self._connected is None:
            self._connected = _bounded_client(self._address)
        return self._connected


def _bounded_client(address: str) -> JobSubmissionClient:
    from ray.job_submission import JobSubmissionClient

    class BoundedClient(JobSubmissionClient):
        """Ray's client waits for an answer without end; this one does not."""

        def _do_request(self, method: str, endpoint: str, **kwargs: Any) -> Any:
            kwargs.setdefault("timeout", CALL_SECONDS if method == "POST" else ASK_SECONDS)
            return super()._do_request(method, endpoint, **kwargs)

    return BoundedClient(address)


def _is_missing(error: Exception) -> bool:
    """Whether Ray itself says that it knows no such job. A proxy, or whatever else listens at the
    address, answers 404 too and knows nothing of Ray's jobs."""
    text = str(error)
    return "status code 404" in text and re.search(r"\bJob \S+ does not exist", text) is not None
