"""Client of the REST API."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx

from api.settings import DEFAULT_HOST, DEFAULT_PORT

DEFAULT_URL: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
VARIABLE: Final = "LACONIC_URL"

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_STREAM_SILENCE: Final = httpx.Timeout(60.0, connect=5.0)
"""The server comments on a silent stream every 15 s: longer silence means it is gone."""


class ApiError(Exception):
    """The API refused; has what the problem document says."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
        self.errors = [(str(e["pointer"]), str(e["detail"])) for e in problem.get("errors", [])]
        self.allowed = [str(a) for a in problem.get("allowed", [])]
        super().__init__(self.detail)

    @property
    def lines(self) -> list[str]:
        """One line for each objection: the field and the remedy."""
        if not self.errors:
            return [self.detail]
        return [f"{pointer}: {detail}" if pointer else detail for pointer, detail in self.errors]


class Unreachable(Exception):
    """No control plane answers; the message names the address and the remedy."""


def is_evaluation(job_id: str) -> bool:
    """Whether an id is that of an evaluation, not of a training job."""
    return job_id.startswith("eval-")


def _place(job_id: str) -> str:
    return f"/v1/{'evaluations' if is_evaluation(job_id) else 'jobs'}/{job_id}"


class Client:
    """Typed verbs over HTTP; a context manager. Verbs on a job take evaluations too."""

    def __init__(self, url: str | None = None) -> None:
        """``url``, else ``LACONIC_URL``, else the default address of ``laconic serve``."""
        self.url = (url or os.environ.get(VARIABLE) or DEFAULT_URL).rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """``{"preset", "overrides"}`` or ``{"spec"}``; return the job."""
        return self._json("POST", "/v1/jobs", json=dict(body))

    def evaluate(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Submit an evaluation; return it."""
        return self._json("POST", "/v1/evaluations", json={"spec": dict(spec)})

    def evaluations(self, limit: int = 20) -> dict[str, Any]:
        return self._json("GET", "/v1/evaluations", params={"limit": limit})

    def result(self, job_id: str) -> dict[str, Any]:
        """What ``evaluation.json`` holds."""
        return self._json("GET", f"{_place(job_id)}/result")

    def responses(self, job_id: str, benchmark: str) -> Iterator[bytes]:
        """The Parquet file with every response to a benchmark, in parts."""
        path = f"{_place(job_id)}/responses/{benchmark}"
        try:
            with self._http.stream("GET", path) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def jobs(self, limit: int = 20, after: str | None = None) -> dict[str, Any]:
        params = {"limit": limit, **({"after": after} if after else {})}
        return self._json("GET", "/v1/jobs", params=params)

    def job(self, job_id: str) -> dict[str, Any]:
        return self._json("GET", _place(job_id))

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._json("POST", f"{_place(job_id)}/cancel")

    def resume(self, job_id: str) -> dict[str, Any]:
        return self._json("POST", f"{_place(job_id)}/resume")

    def change_stage(self, job_id: str, to: str) -> dict[str, Any]:
        return self._json("POST", f"/v1/jobs/{job_id}/stage", json={"to": to})

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        params = {"after_step": after_step, "limit": limit}
        page = self._json("GET", f"/v1/jobs/{job_id}/metrics", params=params)
        return list(page["data"])

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        params = {"after": after, "limit": limit}
        return list(self._json("GET", f"{_place(job_id)}/events", params=params)["data"])

    def follow(self, job_id: str, after: int = 0) -> Iterator[dict[str, Any] | None]:
        """Events as they happen, until the job has ended; None whenever the stream is silent.

        Raises:
            Unreachable: the connection broke; call again with the last event's id.
        """
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        path = f"{_place(job_id)}/events"
        try:
            with self._http.stream(
                "GET", path, headers=headers, timeout=_STREAM_SILENCE
            ) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
                    elif line.startswith(":"):
                        yield None
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def presets(self) -> list[dict[str, Any]]:
        return list(self._json("GET", "/v1/presets")["data"])

    def report(self, job_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/jobs/{job_id}/report")

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise _refusal(response)
        content = response.json()
        assert isinstance(content, dict)
        return content

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"no control plane answers at {self.url} ({error}); start one with 'laconic serve', "
            f"or set {VARIABLE}"
        )


def _refusal(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    known = problem if isinstance(problem, dict) else {}
    return ApiError(response.status_code, known)
