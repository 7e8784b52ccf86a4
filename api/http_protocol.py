"""The HTTP server's own answers: what reaches no application is a problem document too, connections
that neither ask nor read are closed, and one connection too many is refused."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections import Counter
from http import HTTPStatus
from typing import Any, Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.limits import Limits
from api.watched_transport import WatchedTransport

_RETRY_SECONDS: Final = 5


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol over h11, which refuses more than 64 KiB of headers by itself."""

    max_connections: int
    max_connections_per_address: int
    max_header_seconds: float
    max_stall_seconds: float
    origins: Counter[str]
    """Connections of each origin that has one, of one server."""
    _waiting: asyncio.TimerHandle | None = None
    _watched: WatchedTransport
    _origin: str

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._watched = WatchedTransport(transport, self.loop, self.max_stall_seconds)
        super().connection_made(cast(asyncio.Transport, self._watched))
        self._origin = origin_of(self.client[0] if self.client else "")
        self.origins[self._origin] += 1
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too_many_connections", "too many connections; try again later")
        elif self.origins[self._origin] > self.max_connections_per_address:
            detail = f"{self.max_connections_per_address} connections are open from this address"
            self._refuse(429, "too_many_connections", f"{detail}; close one, or use one again")
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._waiting is None and not self.transport.is_closing():
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._watched.forget()
        self.origins[self._origin] -= 1
        if not self.origins[self._origin]:
            del self.origins[self._origin]
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
            *([(b"retry-after", b"%d" % _RETRY_SECONDS)] if status != 400 else []),
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


def origin_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, for who has one
    of its addresses has them all."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


def server_config(app: ASGIApp, limits: Limits, **options: Any) -> uvicorn.Config:
    """How the API is served, by ``laconic serve`` and in tests."""
    bounds = {
        "max_connections": limits.max_connections,
        "max_connections_per_address": limits.max_connections_per_address,
        "max_header_seconds": limits.max_header_seconds,
        "max_stall_seconds": limits.max_stall_seconds,
        "origins": Counter(),
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
