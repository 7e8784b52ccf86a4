"""Middleware, the outermost: every request gets an id, every answer the headers that all have, and
a fault becomes a problem."""

from __future__ import annotations

import logging
import uuid
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import fault

log = logging.getLogger("laconic.api")

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # What a job says of itself is its owner's alone, and changes.
    (b"cache-control", b"no-store"),
)


class RequestIdentity:
    """A request id in ``request.state`` and in the header ``X-Request-ID``.

    Faults are answered here, and not where the framework does, because that raises them again
    behind the answer and the server then cuts the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = "req-" + uuid.uuid4().hex[:16]
        scope.setdefault("state", {})["request_id"] = identity

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", []))
                given = {name for name, _ in headers}
                wanted = ((b"x-request-id", identity.encode()), *_ALWAYS)
                headers += [(name, value) for name, value in wanted if name not in given]
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            log.error("request %s failed", identity, exc_info=error)
            if started:
                raise  # What was promised cannot be kept: the connection has to go.
            await fault(Request(scope))(scope, receive, send_with_headers)
