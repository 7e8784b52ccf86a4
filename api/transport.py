"""HTTP to a control plane: the key, the errors, and trying again where that is safe.

Every request that changes something carries an idempotency key of its own, so sending it again acts
once.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from api.settings import DEFAULT_HOST, DEFAULT_PORT

DEFAULT_URL: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
VARIABLE: Final = "LACONIC_URL"
KEY_VARIABLE: Final = "LACONIC_API_KEY"

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
"""The server comments on a silent stream every 15 s: longer silence means it is gone."""
_PAUSES: Final = (0.2, 0.6, 1.5)
"""Seconds between tries; after the last of them the error is raised."""
_LONGEST_PAUSE: Final = 10.0
"""A server that asks for more patience gets this much."""
_TRY_AGAIN: Final = frozenset({429, 503})
_IN_FLIGHT: Final = "idempotency_in_flight"


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


class Transport:
    """One control plane, talked to over HTTP."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        """Nothing is asked yet.

        Args:
            url: of the control plane, else ``LACONIC_URL``, else that of ``laconic serve``.
            key: API key, else ``LACONIC_API_KEY``, else none.
        """
        self.url = (url or os.environ.get(VARIABLE) or DEFAULT_URL).rstrip("/")
        self.key = key or os.environ.get(KEY_VARIABLE) or None
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, headers=headers)

    def close(self) -> None:
        self._http.close()

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send a request; return the JSON object it is answered with, ``{}`` for none.

        Raises:
            ApiError: the API refused.
            Unreachable: no answer, also after trying again.
        """
        response = self.send(method, path, **options)
        content = response.json() if response.content else {}
        assert isinstance(content, dict)
        return content

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, again if need be; return the answer, which is no error."""
        headers = dict(options.pop("headers", {}))
        if method != "GET":
            headers.setdefault("Idempotency-Key", uuid.uuid4().hex)
        for pause in (*_PAUSES, None):
            try:
                response = self._http.request(method, path, headers=headers, **options)
            except httpx.TransportError as error:
                if pause is None:
                    raise self._unreachable(error) from error
                time.sleep(pause)
                continue
            if not response.is_error:
                return response
            refusal = _refusal(response)
            again = response.status_code in _TRY_AGAIN or refusal.code == _IN_FLIGHT
            if pause is None or not again:
                raise refusal
            time.sleep(_asked_for(response) or pause)
        raise AssertionError("the last try raises")

    def events(
        self, path: str, last_event_id: str | None, **options: Any
    ) -> Iterator[dict[str, str] | None]:
        """Blocks of an event stream as they come, None whenever it is silent, until it ends.

        Raises:
            ApiError: the API refused.
            Unreachable: the connection broke; call again with the last block's id.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        with self.stream(path, headers=headers, **options) as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                return
            block: dict[str, str] = {}
            for line in response.iter_lines():
                name, _, value = line.partition(":")
                if not line:
                    if "data" in block:
                        yield block
                    block = {}
                elif name:
                    block[name] = value.removeprefix(" ")
                else:
                    yield None

    def download(self, path: str) -> Iterator[bytes]:
        """The content of a file, piece by piece."""
        with self.stream(path) as response:
            yield from response.iter_bytes()

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """The answer to a GET, which is no error, before its body has come."""
        try:
            with self._http.stream("GET", path, **options) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield response
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"no control plane answers at {self.url} ({error}); start one with 'laconic serve', "
            f"or set {VARIABLE}"
        )


def _asked_for(response: httpx.Response) -> float | None:
    """Seconds the server asks to wait, within reason."""
    text = response.headers.get("retry-after", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdigit() else None


def _refusal(response: httpx.Response) -> ApiError:
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = {}
    known = problem if isinstance(problem, dict) else {}
    return ApiError(response.status_code, known)
