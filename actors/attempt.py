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
import sqlite3
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from services.home import Home
from services.stores.lifecycle import JobState
from services.stores.protocol import (
    Command,
    EventLevel,
    IllegalTransition,
    JobStore,
    StaleAttempt,
)
from services.stores.sqlite import SqliteJobStore

log = logging.getLogger("laconic.driver")

_POLL_SECONDS = 0.5
_HEARTBEAT_SECONDS = 2.0
_RECORD_TRIES = 5
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Cancelled(Exception):
    """A person cancelled the job."""


class Stopped(Exception):
    """The attempt is asked to stop; the job can be resumed."""


class Attempt:
    """A driver without its work: subclasses say what is done (:meth:`work`), what is told of it
    (:meth:`current_progress`) and who does it (:meth:`check_workers`, :meth:`kill_workers`)."""

    def __init__(self, store: JobStore, home: Home, job_id: str, attempt: int) -> None:
        self.store, self.home, self.job_id, self.attempt = store, home, job_id, attempt
        self._next_poll = self._next_heartbeat = 0.0
        self._ending = self._closing = False
        self._asked: type[Exception] | None = None

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

    def is_busy(self) -> bool:
        """Whether something is under way that a cancel or a stop must let finish."""
        return False

    def cause_of_stop(self) -> str:
        """Leave things so that the job can be resumed; return how far it came, in words."""
        return "stopped on request"

    def obey(self, command: Command) -> bool:
        """Act on a command that is neither cancel nor stop; return whether it is known."""
        return False

    # -- telling the outside ----------------------------------------------------------------------

    def event(
        self, kind: str, message: str, data: dict[str, Any], level: EventLevel = "info"
    ) -> None:
        """Append to the job's event log."""
        self.store.append_event(
            self.job_id, kind, message, level=level, data=data, attempt=self.attempt
        )

    def progress(self, progress: dict[str, Any]) -> None:
        """Renew the heartbeat."""
        self._next_heartbeat = time.monotonic() + _HEARTBEAT_SECONDS
        self.store.heartbeat(self.job_id, self.attempt, progress)

    # -- hearing from the outside -----------------------------------------------------------------

    def tick(self) -> None:
        """Runs inside every wait: lost workers, commands, heartbeat. May raise to end the wait."""
        if not self._closing:
            self.check_workers()
        self.poll_commands()
        if time.monotonic() >= self._next_heartbeat and (now := self.current_progress()):
            self.progress(now)

    def poll_commands(self) -> None:
        """Act on commands. Cancel and stop raise, unless :meth:`is_busy`."""
        if time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + _POLL_SECONDS
            for command in self.store.take_commands(self.job_id, self.attempt):
                self._obey(command)
        if self._asked is not None and not self._ending and not self.is_busy():
            self._ending = True
            raise self._asked

    def _obey(self, command: Command) -> None:
        if command.kind == "cancel":
            self._asked = Cancelled
        elif command.kind == "stop":
            self._asked = self._asked or Stopped
        elif not self.obey(command):
            self.event(
                "command_refused",
                f"unknown command {command.kind!r}",
                command.data,
                level="warning",
            )

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

    def _attempt(self) -> int:
        try:
            self.store.set_state(self.job_id, "starting", attempt=self.attempt)
            self.work()
        except (StaleAttempt, IllegalTransition):
            raise
        except Cancelled:
            return self._end("cancelled", "cancelled on request", 0)
        except Stopped:
            cause = self.cause_of_stop()
            if self._asked is Cancelled:  # it came while things were left in order
                return self._end("cancelled", "cancelled on request", 0)
            return self._end("interrupted", cause, 0)
        except Exception as e:
            log.exception("the attempt failed")
            return self._fail(e)
        return self._end("succeeded", None, 0)

    def _fail(self, error: Exception) -> int:
        cause = _cause(error)
        with contextlib.suppress(sqlite3.Error):  # a full disk must not hide the record below
            self.event("failed", cause, {"traceback": traceback.format_exc()[-8000:]}, "error")
        return self._end("failed", cause, 1)

    def _end(self, state: JobState, cause: str | None, code: int) -> int:
        """Write the terminal record; only then let the workers go."""
        self._ending = self._closing = True
        if last := self.last_progress():
            with contextlib.suppress(sqlite3.Error):
                self.progress(last)
        self._record(state, cause)
        self.kill_workers()
        return code

    def last_progress(self) -> dict[str, Any] | None:
        """Return what the last heartbeat tells."""
        return self.current_progress()

    def _record(self, state: JobState, cause: str | None) -> None:
        """Write the terminal state; a disk that was full a moment ago gets a few more chances."""
        for attempt in range(_RECORD_TRIES):
            try:
                self.store.set_state(self.job_id, state, attempt=self.attempt, cause=cause)
            except sqlite3.Error:
                if attempt == _RECORD_TRIES - 1:
                    raise
                time.sleep(1)
            else:
                return


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
    attempt = driver(SqliteJobStore(home.database), home, args.job, args.attempt)
    attempt.install_signals()
    code = attempt.main()
    # Threads may still wait for workers that are gone; the record is written, so leave.
    logging.shutdown()
    os._exit(code)
