"""Middleware: every request gets an id, every answer the headers that all have."""

from __future__ import annotations

import uuid
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # What a job says of itself is its owner's alone, and changes.
    (b"cache-control", b"no-store"),
)


class RequestIdentity:
    """A request id in ``request.state`` and in the header ``X-Request-ID``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = "req-" + uuid.uuid4().hex[:16]
        scope.setdefault("state", {})["request_id"] = identity

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                given = {name for name, _ in headers}
                wanted = ((b"x-request-id", identity.encode()), *_ALWAYS)
                headers += [(name, value) for name, value in wanted if name not in given]
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)
