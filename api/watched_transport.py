"""A connection whose other end does not read is cut off, not kept for ever."""

from __future__ import annotations

import asyncio
from typing import Any


class WatchedTransport:
    """A transport that aborts itself when nothing of what it holds could be sent for a while.

    Also while it closes: the transports of asyncio wait without end for a reader to take what is
    left. Whoever reads slowly is not cut off, as long as something goes out in each while.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> None:
        """Nothing is watched before something is written.

        Args:
            transport: of the connection.
            loop: that it lives in.
            seconds: longest time without a byte taken by the other end's system.
        """
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._written = 0
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._transport.write(data)
        self._written += len(data)
        if self._timer is None and self._transport.get_write_buffer_size():
            self._watch()

    def forget(self) -> None:
        """The connection is lost: there is nothing to watch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        self._timer = self._loop.call_later(self._seconds, self._look, self._sent())

    def _look(self, before: int) -> None:
        self._timer = None
        if not self._transport.get_write_buffer_size():
            return
        if self._sent() == before:
            self._transport.abort()
        else:
            self._watch()

    def _sent(self) -> int:
        """Bytes that the system has taken."""
        return self._written - self._transport.get_write_buffer_size()
