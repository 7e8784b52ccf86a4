"""Verbs that hear what jobs say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from api.answers.logs import LogPiece, LogSource, LogSources
from api.answers.metrics import Curves, JobCurves
from api.client.steering import job_path
from api.client.verbs import Verbs
from api.schemas import Event, EventPage, MetricsPage


class Observing(Verbs):
    """Step records, events, logs, reports."""

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Step records, as the driver wrote them."""
        path = job_path(job_id, "metrics")
        return self._get(MetricsPage, path, after_step=after_step, limit=limit).data

    def metrics_csv(self, job_id: str) -> Iterator[bytes]:
        """Every record as a line of a table, in parts."""
        return self._http.download(job_path(job_id, "metrics.csv"))

    def curves(
        self, jobs: Sequence[str], fields: Sequence[str], points: int = 500
    ) -> list[JobCurves]:
        """Figures of several jobs over their steps, each with at most so many points."""
        found = self._get(Curves, "/v1/metrics", job=list(jobs), field=list(fields), points=points)
        return found.data

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[Event]:
        """Events with ids above ``after``, oldest first."""
        return self._get(EventPage, job_path(job_id, "events"), after=after, limit=limit).data

    def follow(self, job_id: str, after: int = 0) -> Iterator[Event | None]:
        """Events as they happen, until the job has ended; None whenever the stream is silent.

        Raises:
            Unreachable: the connection broke; call again with the last event's id.
        """
        for block in self._http.events(job_path(job_id, "events"), str(after)):
            if block is None or block.get("event") == "gap":
                yield None
            else:
                yield Event.model_validate_json(block["data"], extra="ignore")

    def logs(self, job_id: str) -> list[LogSource]:
        """Which workers have a log."""
        return self._get(LogSources, job_path(job_id, "logs")).data

    def log(
        self, job_id: str, role: str, rank: int = 0, start: int = 0, limit: int = 65536
    ) -> LogPiece:
        """A piece of a worker's log; a negative ``start`` counts from the end."""
        path = job_path(job_id, f"logs/{role}/{rank}")
        return self._get(LogPiece, path, start=start, limit=limit)

    def follow_log(
        self, job_id: str, role: str, rank: int = 0, start: int = 0
    ) -> Iterator[tuple[str, int]]:
        """Text as it is written and the place behind it, until the job has ended."""
        path, params = job_path(job_id, f"logs/{role}/{rank}"), {"start": start}
        for block in self._http.events(path, None, params=params):
            if block is not None:
                yield json.loads(block["data"]), int(block["id"])

    def report(self, job_id: str) -> dict[str, Any]:
        """What ``report.json`` holds."""
        return self._http.json("GET", job_path(job_id, "report"))
