"""Middleware: no request body is longer than what is read into memory for it."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 4 << 20
"""In bytes."""


class BodyLimit:
    """Stops reading a body that is too long; the request is answered 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise HTTPException(
                    413, f"the body is longer than {MAX_BODY >> 20} MiB; send less at a time"
                )
            return message

        await self._app(scope, receive_some, send)
