"""The driver of a training job: ``python -m actors.driver --job ID --attempt N --home PATH``.

It owns the stage machine.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import ray

from actors.attempt import Attempt, run_driver
from actors.line import go_back, take_up_line
from actors.replay_watch import ReplayWatch
from actors.roles import Roles, start_roles
from actors.training_run import TrainingRun
from actors.waiting import Waiter
from services.builtin import resolve_path
from services.checkpoints import Checkpoint, CheckpointStore
from services.home import Home
from services.job_data import load_job_data
from services.journal.entry import is_held
from services.reports.machine import describe_machine
from services.stores.journal_mark import JournalMark
from services.stores.protocol import Command, JobStore

log = logging.getLogger("laconic.driver")

_UNDIVIDED = ("train", "checkpoint")
"""Phases that nothing cuts short."""
_STEP = ("generate", "verify", *_UNDIVIDED)
"""Phases of a step."""
_GOLD_PROGRESS_SECONDS = 10.0


class Driver(Attempt):
    """One attempt at one training job."""

    def __init__(self, store: JobStore, home: Home, job_id: str, attempt: int) -> None:
        super().__init__(store, home, job_id, attempt)
        self.spec = store.get_job(job_id).training
        self.run: TrainingRun | None = None
        self.roles: Roles | None = None
        self._replay: ReplayWatch | None = None
        self._next_gold_progress = 0.0
        self._wishes: list[Command] | None = []

    def metrics(self, step: int, record: dict[str, Any]) -> None:
        """Write the record of one step."""
        record["attempt"] = self.attempt
        self.journal.metrics(step, record)

    def progress(self, progress: dict[str, Any]) -> None:
        if self._replay is not None:
            progress["replay"] = self._replay.gauges()
        super().progress(progress)

    def current_progress(self) -> dict[str, Any] | None:
        return None if self.run is None else self.run.progress()

    def last_progress(self) -> dict[str, Any] | None:
        self._replay = None  # it may be what was lost
        if self.run is not None:
            self.run.phase = "done"
        return self.current_progress()

    def check_workers(self) -> None:
        if self.roles is not None:
            self.roles.check()

    def kill_workers(self) -> None:
        if self.roles is not None:
            self.roles.kill()

    def is_busy(self, *, pausing: bool) -> bool:
        """While the learners hold a batch or write a checkpoint: that is finished first, so that
        weights and accounting stay one. A pause lets the whole step finish, so that nothing that
        was generated is lost."""
        return self.run is not None and self.run.phase in (_STEP if pausing else _UNDIVIDED)

    def obey(self, command: Command) -> bool:
        if command.kind != "stage":
            return False
        if self._wishes is None:
            self._request(command)
        else:
            self._wishes.append(command)
        return True

    def _request(self, command: Command) -> None:
        assert self.run is not None
        try:
            target = self.run.machine.request(command.data["to"])
        except ValueError as e:
            self.refuse("stage_refused", str(e), command)
        else:
            said = f"stage {target} was requested"
            self.event("stage_requested", said, {"to": target}, command=command)

    def begin_stages(self) -> None:
        """Take stage moves from now on, first those that came before there was a run to ask."""
        wishes, self._wishes = self._wishes or [], None
        for command in wishes:
            self._request(command)

    def _go_on_from(self, checkpoint: Checkpoint | None) -> None:
        position = checkpoint.state.get("journal") if checkpoint else None
        source = self.store.get_job(self.job_id).forked_from
        if source and checkpoint and checkpoint.step <= source.step:
            position = None  # of the journal and the commands of another job
        newest = JournalMark(position["attempt"], position["number"]) if position else None
        step = checkpoint.step if checkpoint else 0
        self.go_on_from(position, lambda entry: is_held(entry, newest, step))

    def work(self) -> None:
        spec, paths = self.spec, self.home.job(self.job_id)
        checkpoints = CheckpointStore(paths.checkpoints)
        checkpoints.recover()
        went_back = go_back(self, paths)
        checkpoint, passed_over = checkpoints.latest()
        checkpoints.set_aside(passed_over)
        self._go_on_from(checkpoint)
        take_up_line(self, paths, went_back)
        for problem in passed_over:
            self.event("checkpoint_skipped", problem, {}, level="warning")
        self.fetch_from_hub(spec)
        model = resolve_path(spec.model.path)
        data = load_job_data(spec, paths.gold_check, self._gold_progress)
        for notice in data.notices:
            self.event(notice.kind, notice.message, notice.data, notice.level)
        self.connect()
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
        self.begin_stages()
        # Steps beyond the checkpoint are run again; without one, all of them.
        self.store.truncate_metrics(self.job_id, self.attempt, checkpoint.step if checkpoint else 0)
        self.become_running()
        self.event("machine", "measured on this machine", describe_machine())
        run.run(resumed=checkpoint is not None)
        self._close()

    def _gold_progress(self, done: int, total: int) -> None:
        """Runs while accepted answers are checked, before there is a run. May raise to end it."""
        self.poll_commands()
        if time.monotonic() >= self._next_gold_progress:
            self._next_gold_progress = time.monotonic() + _GOLD_PROGRESS_SECONDS
            message = f"{done} of {total} accepted answers checked against themselves"
            self.event("gold_check", message, {"done": done, "total": total})

    def leave(self) -> str:
        """Leave a checkpoint of the last whole step."""
        try:
            saved = self.run.checkpoint_boundary() if self.run else None
        except Exception as e:
            log.exception("no checkpoint on leaving")
            return f"; the last step could not be saved ({e}), resuming uses an older checkpoint"
        return f" after step {saved.step}" if saved else ""

    def _close(self) -> None:
        """End the learners in an orderly way after the last stage."""
        assert self.run is not None
        assert self.roles is not None
        self._ending = self._closing = True
        put = self.roles.replay.put_work.remote({"kind": "stop", "work_id": -1})
        ray.get(put, timeout=60)
        self.roles.join_learners(60)


if __name__ == "__main__":
    run_driver(Driver, "The driver of one attempt at a training job.")
