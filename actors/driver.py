"""The driver of one attempt: ``python -m actors.driver --job ID --attempt N --home PATH``.

It owns the stage machine and speaks with the outside only through the job store. Before it exits,
whatever happened, it writes the attempt's terminal record itself.
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

from actors.replay_watch import ReplayWatch
from actors.roles import Roles, start_roles
from actors.training_run import TrainingRun
from actors.waiting import Waiter
from services.builtin import resolve_path
from services.checkpoints import CheckpointStore
from services.home import Home
from services.job_data import load_job_data
from services.reports.machine import describe_machine
from services.stores.lifecycle import JobState
from services.stores.protocol import EventLevel, IllegalTransition, JobStore, StaleAttempt
from services.stores.sqlite import SqliteJobStore

log = logging.getLogger("laconic.driver")

_POLL_SECONDS = 0.5
_HEARTBEAT_SECONDS = 2.0
_GOLD_PROGRESS_SECONDS = 10.0
_RECORD_TRIES = 5
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Cancelled(Exception):
    """A person cancelled the job."""


class Stopped(Exception):
    """The attempt is asked to stop; the job can be resumed."""


class Driver:
    """One attempt at one job."""

    def __init__(self, store: JobStore, home: Home, job_id: str, attempt: int) -> None:
        self.store, self.home, self.job_id, self.attempt = store, home, job_id, attempt
        self.spec = store.get_job(job_id).spec
        self.run: TrainingRun | None = None
        self.roles: Roles | None = None
        self._replay: ReplayWatch | None = None
        self._next_poll = self._next_heartbeat = 0.0
        self._ending = self._closing = False
        self._asked: type[Exception] | None = None

    # -- telling the outside --------------------------------------------------------------------

    def event(
        self, kind: str, message: str, data: dict[str, Any], level: EventLevel = "info"
    ) -> None:
        """Append to the job's event log."""
        self.store.append_event(
            self.job_id, kind, message, level=level, data=data, attempt=self.attempt
        )

    def metrics(self, step: int, record: dict[str, Any]) -> None:
        """Write the record of one step."""
        record["attempt"] = self.attempt
        self.store.append_metrics(self.job_id, self.attempt, step, record)

    def progress(self, progress: dict[str, Any]) -> None:
        """Renew the heartbeat."""
        self._next_heartbeat = time.monotonic() + _HEARTBEAT_SECONDS
        if self._replay is not None:
            progress["replay"] = self._replay.gauges()
        self.store.heartbeat(self.job_id, self.attempt, progress)

    # -- hearing from the outside -----------------------------------------------------------------

    def tick(self) -> None:
        """Runs inside every wait: lost workers, commands, heartbeat. May raise to end the wait."""
        if self.roles is not None and not self._closing:
            self.roles.check()
        self.poll_commands()
        if self.run is not None and time.monotonic() >= self._next_heartbeat:
            self.progress(self.run.progress())

    def poll_commands(self) -> None:
        """Act on commands. Cancel and stop raise, except while the learners hold a batch or write a
        checkpoint: that is finished first, so that weights and accounting stay one."""
        if time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + _POLL_SECONDS
            for command in self.store.take_commands(self.job_id, self.attempt):
                self._obey(command.kind, command.data)
        busy = self.run is not None and self.run.phase in ("train", "checkpoint")
        if self._asked is not None and not busy and not self._ending:
            self._ending = True
            raise self._asked

    def _obey(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "cancel":
            self._asked = Cancelled
        elif kind == "stop":
            self._asked = self._asked or Stopped
        elif kind == "stage" and self.run is not None:
            try:
                target = self.run.machine.request(data["to"])
            except ValueError as e:
                self.event("stage_refused", str(e), data, level="warning")
            else:
                self.event("stage_requested", f"stage {target} was requested", {"to": target})
        else:
            self.event("command_refused", f"unknown command {kind!r}", data, level="warning")

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """SIGTERM and SIGINT stop the attempt as the command does."""
        log.warning("signal %s: stopping", signal.Signals(number).name)
        self._asked = self._asked or Stopped

    # -- the attempt ------------------------------------------------------------------------------

    def main(self) -> int:
        """Run the attempt and write its terminal record. Returns the exit code."""
        try:
            return self._attempt()
        except (StaleAttempt, IllegalTransition) as e:
            # The job has ended, or a newer attempt owns it: say nothing in its record, leave.
            log.error("%s", e)
            return 3

    def install_signals(self) -> None:
        """Have SIGTERM and SIGINT stop the attempt."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)

    def _attempt(self) -> int:
        try:
            self.store.set_state(self.job_id, "starting", attempt=self.attempt)
            self._run()
        except (StaleAttempt, IllegalTransition):
            raise
        except Cancelled:
            return self._end("cancelled", "cancelled on request", 0)
        except Stopped:
            return self._stop()
        except Exception as e:
            log.exception("the attempt failed")
            return self._fail(e)
        return self._end("succeeded", None, 0)

    def _run(self) -> None:
        spec, paths = self.spec, self.home.job(self.job_id)
        model = resolve_path(spec.model.path)
        data = load_job_data(spec, paths.gold_check, self._gold_progress)
        for notice in data.notices:
            self.event(notice.kind, notice.message, notice.data, notice.level)
        ray.init(
            address="auto", namespace=f"laconic-{self.job_id}", log_to_driver=True, logging_level=30
        )
        self.install_signals()  # ray.init puts a handler of its own in their place
        checkpoints = CheckpointStore(paths.checkpoints)
        checkpoints.recover()
        checkpoint, passed_over = checkpoints.latest()
        checkpoints.set_aside(passed_over)
        for problem in passed_over:
            self.event("checkpoint_skipped", problem, {}, level="warning")
        self.roles = start_roles(
            self.job_id, spec, model, checkpoint.folder if checkpoint else None, paths.ray_train
        )
        self._replay = ReplayWatch(self.roles.replay)
        self.roles.start_learners()
        waiter = Waiter(self.tick)
        self.run = run = TrainingRun(
            self.job_id, spec, paths, self.roles, waiter, self, data.questions, data.held_out
        )
        if checkpoint:
            run.restore(checkpoint)
            self.event("resumed", f"resumed from step {checkpoint.step}", {"step": checkpoint.step})
        # Steps beyond the checkpoint are run again; without one, all of them.
        self.store.truncate_metrics(self.job_id, self.attempt, checkpoint.step if checkpoint else 0)
        self.store.set_state(self.job_id, "running", attempt=self.attempt)
        self.event("machine", "measured on this machine", describe_machine())
        run.run(resumed=checkpoint is not None)
        self._close()

    def _gold_progress(self, done: int, total: int) -> None:
        """Runs while accepted answers are checked, before there is a run. May raise to end it."""
        self.poll_commands()
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + _GOLD_PROGRESS_SECONDS
            message = f"{done} of {total} accepted answers checked against themselves"
            self.event("gold_check", message, {"done": done, "total": total})

    def _stop(self) -> int:
        """Leave a checkpoint of the last whole step, then end as interrupted."""
        cause = "stopped on request"
        try:
            saved = self.run.checkpoint_boundary() if self.run else None
        except Exception as e:
            log.exception("no checkpoint on stop")
            cause += f"; the last step could not be saved ({e}), resuming uses an older checkpoint"
        else:
            if saved:
                cause += f" after step {saved.step}"
        if self._asked is Cancelled:  # it came while the checkpoint was written
            return self._end("cancelled", "cancelled on request", 0)
        return self._end("interrupted", cause, 0)

    def _fail(self, error: Exception) -> int:
        cause = _cause(error)
        with contextlib.suppress(sqlite3.Error):  # a full disk must not hide the record below
            self.event("failed", cause, {"traceback": traceback.format_exc()[-8000:]}, "error")
        return self._end("failed", cause, 1)

    def _end(self, state: JobState, cause: str | None, code: int) -> int:
        """Write the terminal record; only then let the workers go."""
        self._ending = self._closing = True
        self._replay = None  # it may be what was lost
        if self.run is not None:
            self.run.phase = "done"
            with contextlib.suppress(sqlite3.Error):
                self.progress(self.run.progress())
        self._record(state, cause)
        if self.roles is not None:
            self.roles.kill()
        return code

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

    def _close(self) -> None:
        """End the learners in an orderly way after the last stage."""
        assert self.run is not None
        assert self.roles is not None
        self._ending = self._closing = True
        put = self.roles.replay.put_work.remote({"kind": "stop", "work_id": -1})
        ray.get(put, timeout=60)
        self.roles.join_learners(60)


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


def main() -> None:
    """Command line of the driver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True)
    parser.add_argument("--attempt", required=True, type=int)
    parser.add_argument("--home", required=True, type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = Home(args.home)
    driver = Driver(SqliteJobStore(home.database), home, args.job, args.attempt)
    driver.install_signals()
    code = driver.main()
    # Ray Train's thread may still wait for workers that are gone; the record is written, so leave.
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
