"""The HTTP server's own answers: what reaches no application is a problem document too, silent
connections are closed, and one connection too many is refused."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.limits import Limits


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol over h11, which refuses more than 64 KiB of headers by itself."""

    max_connections: int
    max_header_seconds: float
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too_many_connections", "too many connections; try again later")
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._waiting is None and not self.transport.is_closing():
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "malformed_request", "the request is not HTTP/1.1, or its head is large")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # An answer is under way: it can only be cut off.
            self.transport.close()
            return
        phrase = HTTPStatus(status).phrase
        body = json.dumps(
            {
                "type": f"urn:laconic:problem:{code}",
                "title": phrase,
                "status": status,
                "detail": detail,
                "code": code,
                "errors": [],
                "request_id": None,
            }
        ).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        answer = h11.Response(status_code=status, headers=headers, reason=phrase.encode())
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(self.max_header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def server_config(app: ASGIApp, limits: Limits, **options: Any) -> uvicorn.Config:
    """How the API is served, by ``laconic serve`` and in tests."""
    bounds = {
        "max_connections": limits.max_connections,
        "max_header_seconds": limits.max_header_seconds,
    }
    return uvicorn.Config(
        app,
        http=type("Protocol", (BoundedProtocol,), bounds),
        ws="none",
        access_log=False,
        server_header=False,
        # Who sends a request is who is connected; a header could say anything.
        proxy_headers=False,
        **options,
    )
