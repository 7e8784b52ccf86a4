"""Client of the REST API: a verb for each operation, answers as the API gives them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api.download import DigestMismatch, fetch
from api.patience import Patience
from api.transport import (
    DEFAULT_URL,
    KEY_VARIABLE,
    VARIABLE,
    ApiError,
    Transport,
    Unreachable,
)
from services.stores.lifecycle import ACTIVE

__all__ = [
    "DEFAULT_URL",
    "KEY_VARIABLE",
    "VARIABLE",
    "ApiError",
    "Client",
    "DigestMismatch",
    "Unreachable",
    "is_evaluation",
]


class Client:
    """Verbs over HTTP; a context manager. Verbs on a job take evaluations too.

    Each may raise :class:`ApiError` and :class:`Unreachable`; requests are sent again where that
    acts once.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        """``url``, else ``LACONIC_URL``, else the default address of ``laconic serve``; ``key``,
        else ``LACONIC_API_KEY``, else none."""
        self._http = Transport(url, key)
        self.url = self._http.url

    def another(self) -> Client:
        """A client of the same control plane, for another thread."""
        return Client(self.url, self._http.key)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # -- jobs -----------------------------------------------------------------------------------

    def submit(self, body: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        """``{"preset", "overrides"}`` or ``{"spec"}``, with ``labels`` if wanted; return the job.

        ``key``: idempotency key; a program that may be started twice gives one of its own.
        """
        headers = {"Idempotency-Key": key} if key else {}
        return self._http.json("POST", "/v1/jobs", json=dict(body), headers=headers)

    def validate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What submitting would answer, with warnings; nothing is created."""
        return self._http.json("POST", "/v1/jobs:validate", json=dict(body))

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Tokens, time and memory of a job that is not created."""
        return self._http.json("POST", "/v1/jobs:estimate", json=dict(body))

    def evaluate(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Submit an evaluation; return it."""
        return self._http.json("POST", "/v1/evaluations", json={"spec": dict(spec)})

    def evaluations(self, limit: int = 20) -> dict[str, Any]:
        """A page of evaluations, newest first."""
        return self._http.json("GET", "/v1/evaluations", params={"limit": limit})

    def result(self, job_id: str) -> dict[str, Any]:
        """What ``evaluation.json`` holds."""
        return self._http.json("GET", _job(job_id, "result"))

    def responses(self, job_id: str, benchmark: str) -> Iterator[bytes]:
        """The Parquet file with every response to a benchmark, in parts."""
        return self._http.download(_job(job_id, f"responses/{quote(benchmark, safe='')}"))

    def jobs(
        self,
        limit: int = 20,
        after: str | None = None,
        *,
        states: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """A page of jobs, newest first."""
        params: dict[str, Any] = {"limit": limit, "state": list(states)}
        params |= {"after": after} if after else {}
        params |= {f"label[{k}]": v for k, v in (labels or {}).items()}
        return self._http.json("GET", "/v1/jobs", params=params)

    def job(self, job_id: str) -> dict[str, Any]:
        return self._http.json("GET", _job(job_id))

    def cancel(
        self, job_id: str, *, reason: str | None = None, grace_seconds: float | None = None
    ) -> dict[str, Any]:
        """End a job for good; its driver may take ``grace_seconds`` for that."""
        wish = _given(reason=reason, grace_seconds=grace_seconds)
        return self._http.json("POST", _job(job_id, "cancel"), json=wish)

    def pause(self, job_id: str, *, reason: str | None = None) -> dict[str, Any]:
        """Free the workers of a job; :meth:`resume` goes on with it."""
        return self._http.json("POST", _job(job_id, "pause"), json=_given(reason=reason))

    def resume(self, job_id: str, *, reason: str | None = None) -> dict[str, Any]:
        """Queue a job again that was paused or interrupted, or has failed."""
        return self._http.json("POST", _job(job_id, "resume"), json=_given(reason=reason))

    def change_stage(self, job_id: str, to: str, *, reason: str | None = None) -> dict[str, Any]:
        """Go on with the ``next`` stage, or one by name, after the step that is under way."""
        return self._http.json("POST", _job(job_id, "stage"), json=_given(to=to, reason=reason))

    def wait(self, job_id: str, poll_seconds: float = 1.0) -> dict[str, Any]:
        """Return the job once it has ended; a control plane that restarts meanwhile is waited
        for."""
        patience = Patience()
        while True:
            try:
                job = self.job(job_id)
                patience.there()
                if job["state"] not in ACTIVE:
                    return job
            except (ApiError, Unreachable) as error:
                patience.missed(error)
            time.sleep(poll_seconds)

    # -- what they say of themselves ------------------------------------------------------------

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        params = {"after_step": after_step, "limit": limit}
        return list(self._http.json("GET", _job(job_id, "metrics"), params=params)["data"])

    def metrics_csv(self, job_id: str) -> Iterator[bytes]:
        """Every record as a line of a table, in parts."""
        return self._http.download(_job(job_id, "metrics.csv"))

    def curves(
        self, jobs: Sequence[str], fields: Sequence[str], points: int = 500
    ) -> list[dict[str, Any]]:
        """Figures of several jobs over their steps, each with at most so many points."""
        params = {"job": list(jobs), "field": list(fields), "points": points}
        return list(self._http.json("GET", "/v1/metrics", params=params)["data"])

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        params = {"after": after, "limit": limit}
        return list(self._http.json("GET", _job(job_id, "events"), params=params)["data"])

    def follow(self, job_id: str, after: int = 0) -> Iterator[dict[str, Any] | None]:
        """Events as they happen, until the job has ended; None whenever the stream is silent.

        Raises:
            Unreachable: the connection broke; call again with the last event's id.
        """
        for block in self._http.events(_job(job_id, "events"), str(after)):
            if block is None or block.get("event") == "gap":
                yield None
            else:
                yield json.loads(block["data"])

    def logs(self, job_id: str) -> list[dict[str, Any]]:
        """Which workers have a log."""
        return list(self._http.json("GET", _job(job_id, "logs"))["data"])

    def log(
        self, job_id: str, role: str, rank: int = 0, start: int = 0, limit: int = 65536
    ) -> dict[str, Any]:
        """A piece of a worker's log; a negative ``start`` counts from the end."""
        params = {"start": start, "limit": limit}
        return self._http.json("GET", _job(job_id, f"logs/{role}/{rank}"), params=params)

    def follow_log(
        self, job_id: str, role: str, rank: int = 0, start: int = 0
    ) -> Iterator[tuple[str, int]]:
        """Text as it is written and the place behind it, until the job has ended."""
        path, params = _job(job_id, f"logs/{role}/{rank}"), {"start": start}
        for block in self._http.events(path, None, params=params):
            if block is not None:
                yield json.loads(block["data"]), int(block["id"])

    def report(self, job_id: str) -> dict[str, Any]:
        return self._http.json("GET", _job(job_id, "report"))

    # -- what they leave behind -----------------------------------------------------------------

    def checkpoints(self, job_id: str) -> list[dict[str, Any]]:
        return list(self._http.json("GET", _job(job_id, "checkpoints"))["data"])

    def checkpoint(self, job_id: str, step: int) -> dict[str, Any]:
        """A checkpoint with its files."""
        return self._http.json("GET", _job(job_id, f"checkpoints/{step}"))

    def pin(self, job_id: str, step: int) -> None:
        self._http.json("PUT", _job(job_id, f"checkpoints/{step}/pin"))

    def unpin(self, job_id: str, step: int) -> None:
        self._http.json("DELETE", _job(job_id, f"checkpoints/{step}/pin"))

    def delete_checkpoint(self, job_id: str, step: int) -> None:
        self._http.json("DELETE", _job(job_id, f"checkpoints/{step}"))

    def artifacts(self, job_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        params = {"kind": kind} if kind else {}
        return list(self._http.json("GET", _job(job_id, "artifacts"), params=params)["data"])

    def download(self, path: str, target: Path, sha256: str | None = None) -> None:
        """Fetch a file of the API, e.g. ``/v1/jobs/JOB/artifacts/report/report.json``. What is
        there already of a download that broke is not fetched again, and what is there at the end
        has the digest: ``sha256``, else the one that the server names.

        Raises:
            DigestMismatch: it has another one.
        """
        fetch(self._http, quote(path, safe="/:"), target, sha256)

    def promote(self, name: str, job_id: str, step: int) -> dict[str, Any]:
        """Give the policy of a checkpoint a name."""
        body = {"job": job_id, "step": step}
        return self._http.json("PUT", f"/v1/models/{quote(name)}", json=body)

    def models(self) -> list[dict[str, Any]]:
        return list(self._http.json("GET", "/v1/models")["data"])

    def model(self, name: str) -> dict[str, Any]:
        """A named model with its files; :meth:`download` fetches one,
        ``/v1/models/NAME/files/PATH``."""
        return self._http.json("GET", f"/v1/models/{quote(name)}")

    def delete_model(self, name: str) -> None:
        self._http.json("DELETE", f"/v1/models/{quote(name)}")

    # -- the control plane ----------------------------------------------------------------------

    def presets(self) -> list[dict[str, Any]]:
        return list(self._http.json("GET", "/v1/presets")["data"])

    def preset(self, name: str) -> dict[str, Any]:
        """One preset with everything it resolves to."""
        return self._http.json("GET", f"/v1/presets/{quote(name, safe='')}")

    def verify(
        self, cases: Sequence[Mapping[str, Any]], *, policy: str = "reward", kind: str = "math"
    ) -> list[dict[str, Any]]:
        """Judge responses as a job would: a verdict for each case ``{"gold", "output"}``."""
        body = {"cases": [dict(case) for case in cases], "policy": policy, "kind": kind}
        return list(self._http.json("POST", "/v1/verify", json=body)["data"])

    def audit(
        self, after: int = 0, limit: int = 100, tenant: str | None = None
    ) -> list[dict[str, Any]]:
        """Requests that could change something, oldest first, of a tenant or of all."""
        params = _given(after=after, limit=limit, tenant=tenant)
        return list(self._http.json("GET", "/v1/audit", params=params)["data"])

    def audit_log(self) -> Iterator[bytes]:
        """The whole audit log, a JSON object a line, in parts."""
        return self._http.download("/v1/audit.ndjson")

    def prometheus(self) -> str:
        """The series of all jobs at work, in the text format of Prometheus."""
        return self._http.send("GET", "/metrics").text

    def is_alive(self) -> bool:
        """Whether the process of the control plane answers."""
        try:
            self._http.json("GET", "/livez")
        except (ApiError, Unreachable):
            return False
        return True

    def is_ready(self) -> bool:
        """Whether its store answers and jobs are being looked after."""
        try:
            self._http.json("GET", "/readyz")
        except (ApiError, Unreachable):
            return False
        return True

    def whoami(self) -> dict[str, Any]:
        """Who the key is, what it may do, what is left of its quota."""
        return self._http.json("GET", "/v1/whoami")

    def webhooks(self) -> list[dict[str, Any]]:
        return list(self._http.json("GET", "/v1/webhooks")["data"])

    def webhook(self, webhook_id: str) -> dict[str, Any]:
        """A webhook, without its secret."""
        return self._http.json("GET", f"/v1/webhooks/{webhook_id}")

    def create_webhook(
        self, url: str, topics: Sequence[str], description: str = ""
    ) -> dict[str, Any]:
        """Return the webhook with its secret, which is shown once."""
        body = {"url": url, "topics": list(topics), "description": description}
        return self._http.json("POST", "/v1/webhooks", json=body)

    def rotate_webhook(self, webhook_id: str) -> dict[str, Any]:
        return self._http.json("POST", f"/v1/webhooks/{webhook_id}/rotate")

    def test_webhook(self, webhook_id: str) -> dict[str, Any]:
        return self._http.json("POST", f"/v1/webhooks/{webhook_id}/test")

    def delete_webhook(self, webhook_id: str) -> None:
        self._http.json("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str, limit: int = 20) -> list[dict[str, Any]]:
        path = f"/v1/webhooks/{webhook_id}/deliveries"
        return list(self._http.json("GET", path, params={"limit": limit})["data"])

    def redeliver(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        path = f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"
        return self._http.json("POST", path)


def is_evaluation(job_id: str) -> bool:
    """Whether an id is that of an evaluation, not of a training job."""
    return job_id.startswith("eval-")


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def _job(job_id: str, what: str = "") -> str:
    place = "evaluations" if is_evaluation(job_id) else "jobs"
    return f"/v1/{place}/{quote(job_id, safe='')}" + (f"/{what}" if what else "")
