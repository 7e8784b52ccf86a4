"""One attempt at one job: what every driver has in common.

A driver speaks with the outside only through the job store. Before it exits, whatever happened, it
writes the attempt's terminal record itself.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from actors.lost import is_lost
from services.home import Home
from services.hub_source import JOB_SECONDS
from services.journal.entry import Entry
from services.journal.store_journal import PATIENCE_SECONDS, StoreJournal
from services.role_log import keep_log
from services.spec.hub_parts import fetch, hub_parts
from services.spec.kind import Spec
from services.storage_full import is_storage_full
from services.stores.lifecycle import JobState
from services.stores.open import open_store
from services.stores.protocol import (
    Command,
    EventLevel,
    IllegalTransition,
    JobStore,
    StaleAttempt,
    StoreUnavailable,
)

log = logging.getLogger("laconic.driver")

_POLL_SECONDS = 0.5
_HEARTBEAT_SECONDS = 2.0
_RECORD_SECONDS = 1.0
STORAGE_FULL = "storage_full"
"""Reason and first word of the cause of a pause for want of room, and the type of its event."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Cancelled(Exception):
    """A person cancelled the job."""


class Stopped(Exception):
    """The attempt is asked to stop; the job can be resumed."""


class Paused(Exception):
    """A person paused the job."""


class Attempt:
    """A driver without its work: subclasses say what is done (:meth:`work`), what is told of it
    (:meth:`current_progress`) and who does it (:meth:`check_workers`, :meth:`kill_workers`)."""

    def __init__(self, store: JobStore, home: Home, job_id: str, attempt: int) -> None:
        self.store, self.home, self.job_id, self.attempt = store, home, job_id, attempt
        self._next_poll = self._next_heartbeat = 0.0
        self._ending = self._closing = False
        self._asked: type[Exception] | None = None
        self._command: Command | None = None
        self.journal = StoreJournal(store, home.job(job_id).spool, job_id, attempt)
        self._seen_command = self._held_command = self._saved_command = self._settled_command = 0
        self._refused: list[int] = []

    # -- what subclasses say ----------------------------------------------------------------------

    def work(self) -> None:
        """Do the job, from ``starting`` on; returning means that it succeeded."""
        raise NotImplementedError

    def current_progress(self) -> dict[str, Any] | None:
        """Return what the heartbeat tells; None before there is anything."""
        raise NotImplementedError

    def check_workers(self) -> None:
        """Raise when a worker that the job cannot do without has ended."""

    def kill_workers(self) -> None:
        """End the workers at once."""

    def is_busy(self, *, pausing: bool) -> bool:
        """Whether something is under way that a cancel or a stop, or else a pause, must let
        finish."""
        return False

    def leave(self) -> str:
        """Leave things so that the job can be resumed; return how far it came, in words that
        follow on ``paused on request``, or nothing."""
        return ""

    def obey(self, command: Command) -> bool:
        """Act on a command that does not end the attempt; return whether it is known."""
        return False

    # -- what outlives the attempt ----------------------------------------------------------------

    def position(self) -> dict[str, int]:
        """Return how far the journal and the commands are, for a checkpoint."""
        newest = self.journal.newest
        return {
            "attempt": newest.attempt,
            "number": newest.number,
            "command": max(self._seen_command, self._held_command),
        }

    def go_on_from(self, position: Mapping[str, int] | None, keep: Callable[[Entry], bool]) -> None:
        """Begin where a checkpoint ended: stage moves it holds are not done again, and what earlier
        attempts could not write is written, as far as ``keep`` says."""
        self._held_command = self._saved_command = position["command"] if position else 0
        self.journal.take_over(keep)

    def saved(self, position: Mapping[str, int]) -> None:
        """Note that there is a checkpoint with this position."""
        self._saved_command = position["command"]

    # -- telling the outside ----------------------------------------------------------------------

    def event(
        self,
        kind: str,
        message: str,
        data: dict[str, Any],
        level: EventLevel = "info",
        command: Command | None = None,
    ) -> None:
        """Append to the job's event log, with whoever sent the command that this comes of."""
        self.journal.event(
            kind,
            message,
            level=level,
            data=data,
            author=command.author if command else None,
            reason=command.reason if command else None,
        )

    def progress(self, progress: dict[str, Any]) -> None:
        """Renew the heartbeat."""
        self._next_heartbeat = time.monotonic() + _HEARTBEAT_SECONDS
        self.journal.heartbeat(progress)

    def fetch_from_hub(self, spec: Spec) -> None:
        """Fetch what the specification names on the hub and is not in the home folder yet.

        Raises:
            SpecError: it cannot be had, or is no model that can be used.
        """
        named = [part.on_hub for part in hub_parts(spec).values()]
        for source in named:
            assert source is not None
            facts = {"repo": source.repo, "revision": source.revision, "file": source.file}
            self.event("hub", f"{source.repo} of the hub at {source.revision[:12]}", facts)
        fetch(spec, self.home, weights=True, seconds=JOB_SECONDS, waiting=self._while_fetching)

    def _while_fetching(self) -> None:
        self.poll_commands()
        if time.monotonic() >= self._next_heartbeat:
            self.progress({})

    # -- hearing from the outside -----------------------------------------------------------------

    def tick(self) -> None:
        """Runs inside every wait: lost workers, commands, heartbeat. May raise to end the wait."""
        if not self._closing:
            self.check_workers()
        self.journal.flush()
        self.poll_commands()
        if time.monotonic() >= self._next_heartbeat and (now := self.current_progress()):
            self.progress(now)

    def poll_commands(self) -> None:
        """Act on commands. Cancel, stop and pause raise, unless :meth:`is_busy`."""
        if time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + _POLL_SECONDS
            for command in self.journal.commands(self._seen_command):
                self._seen_command = command.id
                if command.kind != "stage" or command.id > self._held_command:
                    self._obey(command)
            self._settle_commands()
        if self._asked is None or self._ending:
            return
        if not self.is_busy(pausing=self._asked is Paused):
            self._ending = True
            raise self._asked

    def _obey(self, command: Command) -> None:
        if command.kind == "cancel":
            self._asked, self._command = Cancelled, command
        elif command.kind in ("pause", "stop"):
            if self._asked is None:
                self._asked = Paused if command.kind == "pause" else Stopped
                self._command = command
        elif not self.obey(command):
            said = f"unknown command {command.kind!r}"
            self.refuse("command_refused", said, command)

    def refuse(self, kind: str, why: str, command: Command) -> None:
        """Say that a command comes to nothing; no later attempt is given it."""
        self.event(kind, why, command.data, "warning", command)
        self._refused.append(command.id)

    def _settle_commands(self) -> None:
        """Have the store forget what a checkpoint holds the effect of, and what was refused."""
        if self._saved_command == self._settled_command and not self._refused:
            return
        if self.journal.settle(self._saved_command, self._refused):
            self._settled_command, self._refused = self._saved_command, []

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """SIGTERM and SIGINT stop the attempt as the command does."""
        log.warning("signal %s: stopping", signal.Signals(number).name)
        self._asked = self._asked or Stopped

    def install_signals(self) -> None:
        """Have SIGTERM and SIGINT stop the attempt."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)

    def connect(self) -> None:
        """Join the Ray cluster, in a namespace of the job's own."""
        ray.init(
            address="auto", namespace=f"laconic-{self.job_id}", log_to_driver=True, logging_level=30
        )
        self.install_signals()  # ray.init puts a handler of its own in their place

    # -- the attempt ------------------------------------------------------------------------------

    def main(self) -> int:
        """Run the attempt and write its terminal record. Returns the exit code."""
        try:
            return self._attempt()
        except (StaleAttempt, IllegalTransition) as e:
            # The job has ended, or a newer attempt owns it: say nothing in its record, leave.
            log.error("%s", e)
            return 3

    def become_running(self) -> None:
        """Say that the job runs. If it was asked to end while it started, that is done instead."""
        self.journal.drain()
        try:
            self.store.set_state(self.job_id, "running", attempt=self.attempt)
        except IllegalTransition:
            self._next_poll = 0.0
            self.poll_commands()
            raise

    def _attempt(self) -> int:
        try:
            self.store.set_state(self.job_id, "starting", attempt=self.attempt)
            self.work()
        except (StaleAttempt, IllegalTransition):
            raise
        except Cancelled:
            return self._end("cancelled", "cancelled on request", 0)
        except Stopped:
            return self._leave("interrupted", "stopped on request")
        except Paused:
            return self._leave("paused", "paused on request")
        except Exception as e:
            log.exception("the attempt failed")
            if is_storage_full(e):
                return self._pause_for_room(e)
            return self._give_up(e, "interrupted" if is_lost(e) else "failed")
        return self._end("succeeded", None, 0)

    def _leave(self, state: JobState, cause: str) -> int:
        cause += self.leave()
        if self._asked is Cancelled:  # it came while things were left in order
            return self._end("cancelled", "cancelled on request", 0)
        return self._end(state, cause, 0)

    def _pause_for_room(self, error: Exception) -> int:
        """There was no room for a checkpoint or a result: the last ones are whole, so that the job
        can go on from them once somebody has made room."""
        cause = f"{STORAGE_FULL}: {_cause(error)}; make room, then resume the job"
        self._ending = True
        with contextlib.suppress(StoreUnavailable):  # its disk may be the one that is full
            self.event(STORAGE_FULL, cause, {}, "error")
        self.journal.drain()
        try:
            self._set_state("pausing", reason=STORAGE_FULL)
        except IllegalTransition:
            # It was asked to stop meanwhile: a stop leaves it resumable too, a cancel counts.
            return self._end("interrupted", cause, 0)
        return self._end("paused", cause, 0, reason=STORAGE_FULL)

    def _give_up(self, error: Exception, state: JobState) -> int:
        """What was lost is no fault of the job, which may go on from its last checkpoint."""
        cause = _cause(error)
        with contextlib.suppress(StoreUnavailable):  # a full disk must not hide the record below
            kind = "failed" if state == "failed" else "lost"
            self.event(kind, cause, {"traceback": traceback.format_exc()[-8000:]}, "error")
        return self._end(state, cause, 1)

    def _end(self, state: JobState, cause: str | None, code: int, reason: str | None = None) -> int:
        """Write the terminal record; only then let the workers go."""
        self._ending = self._closing = True
        if last := self.last_progress():
            with contextlib.suppress(StoreUnavailable):
                self.progress(last)
        self._record(state, cause, reason)
        self.kill_workers()
        return code

    def last_progress(self) -> dict[str, Any] | None:
        """Return what the last heartbeat tells."""
        return self.current_progress()

    def _record(self, state: JobState, cause: str | None, reason: str | None) -> None:
        """Write the terminal state, after all that the journal has."""
        asked = self._command if state in ("paused", "cancelled", "interrupted") else None
        self.journal.drain()
        self._set_state(
            state,
            cause=cause,
            author=asked.author if asked else None,
            reason=reason or (asked.reason if asked else None),
        )

    def _set_state(self, state: JobState, **said: Any) -> None:
        """Set the job's state; a disk that is full just now gets the time that a server gets."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.store.set_state(self.job_id, state, attempt=self.attempt, **said)
                return
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                log.exception("%s is not on record yet", state)
                time.sleep(_RECORD_SECONDS)


def _cause(error: Exception) -> str:
    """Return what went wrong, the decisive line first: remote errors bring a long traceback whose
    last line says it."""
    if isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
        error = error.cause
    text = _ANSI.sub("", str(error)).strip()
    last = text.splitlines()[-1].strip() if text else ""
    if "\n" in text and isinstance(error, ray.exceptions.RayError):
        text = f"{last}\n{text}"
    return f"{type(error).__name__}: {text}"[:4000]


def run_driver(driver: type[Attempt], description: str) -> None:
    """Command line of a driver; ends the process."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--job", required=True)
    parser.add_argument("--attempt", required=True, type=int)
    parser.add_argument("--home", required=True, type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = Home(args.home)
    keep_log("driver", 0, home.job(args.job).logs)
    # The URL of the store may hold a password: it comes by the environment or the home folder,
    # never on the command line, which every user of the machine and Ray's job view can see.
    store = open_store(None, home, patience=PATIENCE_SECONDS)
    attempt = driver(store, home, args.job, args.attempt)
    attempt.install_signals()
    code = attempt.main()
    # Threads may still wait for workers that are gone; the record is written, so leave.
    logging.shutdown()
    os._exit(code)
