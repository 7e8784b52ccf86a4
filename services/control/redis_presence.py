"""Which control planes live, as a Redis server sees it: each says so again and again."""

from __future__ import annotations

import logging
import math
import secrets
import threading
from typing import Final

from services.stores.protocol import StoreUnavailable
from services.stores.redis_calls import RedisCalls

log = logging.getLogger("laconic.control")

PRESENT_SECONDS: Final = 10.0
"""Who has been silent for this long is taken for dead."""


class RedisPresence:
    """One process, from its making to :meth:`leave`. The script asks for the others."""

    def __init__(self, calls: RedisCalls, seconds: float = PRESENT_SECONDS) -> None:
        """Be there at once.

        Args:
            calls: the server.
            seconds: how long each sign of life counts; it is repeated four times as often.

        Raises:
            StoreUnavailable: the server cannot be reached.
        """
        self._calls, self._seconds = calls, seconds
        self.name = secrets.token_hex(8)
        self._key = f"{calls.prefix}control:present:{self.name}"
        self._leaving = threading.Event()
        self._say()
        self._thread = threading.Thread(target=self._go_on, name="presence", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Be gone. Safe to call again."""
        self._leaving.set()
        self._thread.join()
        try:
            self._calls.ask(lambda client: client.delete(self._key))
        except StoreUnavailable as error:
            log.warning("others take %g s to see that this is gone: %s", self._seconds, error)

    def _say(self) -> None:
        milliseconds = math.ceil(1000 * self._seconds)
        self._calls.ask(lambda client: client.set(self._key, 1, px=milliseconds))

    def _go_on(self) -> None:
        while not self._leaving.wait(self._seconds / 4):
            try:
                self._say()
            except StoreUnavailable as error:
                log.warning("could not say that this control plane lives: %s", error)
