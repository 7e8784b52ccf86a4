"""A stream stays open for hours: whether its reader may still read is asked again all the while."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator
from typing import Final

from fastapi import Request
from fastapi.sse import format_sse_event

from api.authentication import Authenticator, Unauthenticated
from api.event_feed import RETRY_MILLISECONDS
from services.control.principal import Principal, Scope

log = logging.getLogger("laconic.streams")

CHECK_SECONDS: Final = 1.0
"""Time between two questions of a stream."""
_FRESH_SECONDS: Final = 0.5
"""How long an answer serves every stream of the same key."""
_REMEMBERED: Final = 1000

Answer = asyncio.Task[Principal | None]


class StreamKeys:
    """Asks for all streams whether their keys still count. Lives in the event loop."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._asked: dict[bytes, tuple[float, Answer]] = {}

    async def principal(self, authorization: str | None) -> Principal | None:
        """Who a key stands for now; None where it stands for nobody, or nobody can tell: a reader
        that is sent away by mistake comes back and has missed nothing."""
        known = hashlib.sha256(repr(authorization).encode()).digest()
        asked, answer = self._asked.get(known, (0.0, None))
        if answer is None or time.monotonic() - asked > _FRESH_SECONDS:
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            answer = asyncio.create_task(asyncio.to_thread(self._ask, authorization))
            self._asked[known] = (time.monotonic(), answer)
        # Others wait for the same answer: the end of one stream does not take it from them.
        return await asyncio.shield(answer)

    def _ask(self, authorization: str | None) -> Principal | None:
        try:
            return self._authenticator.principal(authorization)
        except Unauthenticated:
            return None
        except Exception as error:
            log.warning("a stream ends: the store of keys does not answer (%s)", error)
            return None


class StreamAccess:
    """What a reader needs to go on reading a stream."""

    def __init__(self, keys: StreamKeys, request: Request, scope: Scope, tenant: str) -> None:
        """Nothing is asked yet.

        Args:
            keys: knows which keys count.
            request: with which the stream was opened.
            scope: the key must have.
            tenant: whose job it is.
        """
        self._keys, self._scope, self._tenant = keys, scope, tenant
        self._authorization = request.headers.get("authorization")
        self._next = time.monotonic() + CHECK_SECONDS

    @property
    def wait(self) -> float:
        """Seconds until it is time to ask again."""
        return max(0.0, self._next - time.monotonic())

    async def ended(self) -> bool:
        """Whether the reader may read no more; asked once in :data:`CHECK_SECONDS`."""
        if self.wait > 0:
            return False
        self._next = time.monotonic() + CHECK_SECONDS
        found = await self._keys.principal(self._authorization)
        return found is None or not found.may(self._scope) or not found.sees(self._tenant)


ENDED: Final = format_sse_event(
    retry=RETRY_MILLISECONDS, comment="the key of this stream does not count any more"
)
"""The last block of a stream whose reader may read no more."""


async def while_allowed(
    blocks: AsyncGenerator[bytes], access: StreamAccess
) -> AsyncGenerator[bytes]:
    """The blocks of a stream as long as its reader may have them, then :data:`ENDED`."""
    coming: asyncio.Future[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(blocks))
            if not coming.done():
                await asyncio.wait({coming}, timeout=access.wait)
            if await access.ended():
                yield ENDED
                return
            if not coming.done():
                continue
            try:
                block = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield block
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await blocks.aclose()
