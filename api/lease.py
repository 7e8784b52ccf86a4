"""Who of several control planes looks after the jobs: a lease in the store, kept while they are
looked after, however long one answer of the cluster takes."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from services.stores.protocol import JobStore, StoreUnavailable

log = logging.getLogger("laconic.reconcile")

_STUCK_SECONDS: Final = 60.0
"""Who has done nothing for this long shall not keep the others from it: longer than anything that
is waited for at a stretch."""


class Lease:
    """Taken by one thread, renewed by another."""

    def __init__(self, store: JobStore, name: str, owner: str, seconds: float) -> None:
        """Nothing is taken yet.

        Args:
            store: what all control planes share.
            name: of the lease.
            owner: who takes it.
            seconds: after which it runs out unless it is renewed.
        """
        self._store, self._name, self._owner, self._seconds = store, name, owner, seconds
        self._held = False
        self._alive = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def held(self) -> bool:
        """Whether it was ours when it was last asked about."""
        return self._held

    def start(self) -> None:
        """Renew what is taken from now on."""
        self._thread.start()

    def take(self) -> bool:
        """Take it or renew it; False while another has it."""
        self._held = False
        self._held = self._store.hold(self._name, self._owner, self._seconds)
        self.work_goes_on()
        return self._held

    def work_goes_on(self) -> None:
        """Say that whoever took it is at work."""
        self._alive = time.monotonic()

    def end(self, *, release: bool) -> None:
        """Renew it no more. ``release``: let another have it at once, else once it has run out."""
        self._ending.set()
        self._thread.join(timeout=1)
        self._held = False
        if not release:
            return
        try:
            self._store.release(self._name, self._owner)
        except StoreUnavailable as error:
            log.warning("%s", error)  # it runs out by itself

    def _renew(self) -> None:
        while not self._ending.wait(self._seconds / 3):
            if not self._held or time.monotonic() - self._alive > _STUCK_SECONDS:
                continue
            try:
                self._held = self._store.hold(self._name, self._owner, self._seconds)
            except StoreUnavailable as error:
                log.warning("%s", error)
