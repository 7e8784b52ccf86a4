"""A driver's side of the job store that does not stand still while the store is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from services.journal.entry import Entry, EntryKind
from services.journal.spool import Spool
from services.journal.spool_file import SpoolFile
from services.stores.journal_mark import JournalMark
from services.stores.protocol import Command, EventLevel, JobStore, StoreUnavailable

log = logging.getLogger("laconic.store")

SPOOL_BYTES: Final = 32 * 2**20
"""Room for what waits: some ten thousand steps."""
PATIENCE_SECONDS: Final = 1800.0
"""How long is waited for a store where there is no going on without it."""
_GLANCE_SECONDS: Final = 1.0
"""How long a write is repeated before it is kept on disk."""
_SPELL_SECONDS: Final = 2.0
"""How long entries are written at a stretch before the driver looks at its workers again."""
_PAUSE_SECONDS: Final = 0.25

T = TypeVar("T")


class StoreJournal:
    """Events and step records of one attempt, each written once and in order.

    While the store is away they are kept in a file, and written when it is back; heartbeats are
    left out and no command comes. Every method raises StaleAttempt as the store does: an attempt
    that proves stale has nothing more to write.
    """

    def __init__(
        self,
        store: JobStore,
        folder: Path,
        job_id: str,
        attempt: int,
        *,
        limit: int = SPOOL_BYTES,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Nothing is written yet.

        Args:
            store: the store.
            folder: where files of attempts are.
            job_id: the job.
            attempt: whose journal it is.
            limit: bytes that may wait on disk; beyond them the driver waits for the store.
            patience: how long it does, in seconds, before StoreUnavailable.
        """
        self._store = store.hasty(_GLANCE_SECONDS)
        self._job_id, self._attempt = job_id, attempt
        self._limit, self._patience = limit, patience
        self._file = SpoolFile(folder, attempt)
        self._spool = Spool(limit)
        self._number = 0

    @property
    def newest(self) -> JournalMark:
        """The mark of the newest entry."""
        return JournalMark(self._attempt, self._number)

    def take_over(self, keep: Callable[[Entry], bool]) -> None:
        """Hand in what earlier attempts have left and is to be kept. Where they left something,
        nothing can be written before.

        Raises:
            OSError: there is no room to make it this attempt's own.
        """
        self._spool = Spool(self._limit, self._file.take_over(keep))
        self.flush()

    # -- writing ------------------------------------------------------------------------------

    def event(
        self,
        type: str,
        message: str,
        *,
        level: EventLevel = "info",
        data: Mapping[str, Any] | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Add a line to the job's log."""
        said = {"author": author, "reason": reason, "at": time.time()}
        body = {"type": type, "message": message, "level": level, "data": dict(data or {})}
        self._write("event", {**body, **said})

    def metrics(self, step: int, record: Mapping[str, Any]) -> None:
        """Add the record of a step."""
        self._write("metrics", {"step": step, "record": dict(record)})

    def _write(self, kind: EntryKind, body: dict[str, Any]) -> None:
        if self._file.is_awaited:
            # The store would take nothing of an earlier attempt after this.
            log.warning("not written, for what was left is not taken over: %s %s", kind, body)
            return
        self._number += 1
        entry = Entry(self.newest, kind, body)
        self.flush()
        if not len(self._spool) and self._try(lambda: self._put(entry)):
            return
        if self._keep(entry):
            return
        self.drain()
        while not self._try(lambda: self._put(entry)):
            self.drain()

    def _keep(self, entry: Entry) -> bool:
        """Have it wait on disk; whether there was room."""
        if not self._spool.has_room_for(entry):
            log.warning("%d entries wait for the job store; no more are taken", len(self._spool))
            return False
        try:
            self._file.add(entry)
        except OSError as error:
            log.warning("nothing can be kept for the job store: %s", error)
            return False
        self._spool.add(entry)
        return True

    def _put(self, entry: Entry) -> bool:
        said = {**entry.body, "mark": entry.mark}
        if entry.kind == "event":
            self._store.append_event(
                self._job_id, said.pop("type"), said.pop("message"), attempt=self._attempt, **said
            )
        else:
            self._store.append_metrics(self._job_id, self._attempt, **said)
        return True

    def flush(self) -> None:
        """Write what waits, as far as that goes now."""
        now = time.monotonic()
        until, away, count = now + _SPELL_SECONDS, self._spool.away_for(now), 0
        while (first := self._spool.first) is not None and time.monotonic() < until:
            if not self._try(lambda entry=first: self._put(entry)):  # type: ignore[misc]
                return
            self._spool.written()
            count += 1
        if count and not len(self._spool):
            self._file.clear()
        if count and away is not None:
            log.warning("the job store is back after %.0f s; %d entries written", away, count)

    def drain(self) -> None:
        """Wait until everything is written.

        Raises:
            StoreUnavailable: the store stayed away.
        """
        deadline = time.monotonic() + self._patience
        while True:
            self.flush()
            if not len(self._spool) and self._try(self._is_there):
                return
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"waited {self._patience:.0f} s for the job store, with {len(self._spool)} "
                    "entries that it does not have yet"
                )
            time.sleep(_PAUSE_SECONDS)

    # -- what is not kept ---------------------------------------------------------------------

    def heartbeat(self, progress: Mapping[str, Any]) -> None:
        """Renew the heartbeat, where the store is there: the next one says more."""
        self.flush()
        self._try(lambda: self._store.heartbeat(self._job_id, self._attempt, progress))

    def commands(self, after: int) -> list[Command]:
        """Commands above an id; none while the store is away."""
        self.flush()
        take = self._store.take_commands
        return self._try(lambda: take(self._job_id, self._attempt, after=after)) or []

    def settle(self, through: int, also: Collection[int]) -> bool:
        """Have the store forget commands; whether it has."""

        def settle() -> bool:
            self._store.settle_commands(self._job_id, self._attempt, through, also)
            return True

        return self._try(settle) is not None

    def _is_there(self) -> bool:
        self._store.ping()
        return True

    def _try(self, call: Callable[[], T]) -> T | None:
        """What the store answers; None while it is away."""
        if not self._spool.may_try(time.monotonic()):
            return None
        try:
            answer = call()
        except StoreUnavailable as error:
            self._spool.lost(time.monotonic())
            log.warning("%s; what happens is kept on disk", error)
            return None
        self._spool.found()
        return answer
