"""A driver whose steps are short and need no worker: everything else is that of every driver.

Labels of the job say what it does: ``steps`` how many steps, ``hold`` where it waits until the file
``release-JOB`` stands beside the log of steps: ``starting``, or the number of a step, which nothing
cuts short then.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from actors.attempt import Attempt
from services.atomic_write import write_whole
from services.home import Home
from services.journal.entry import is_held
from services.stores.journal_mark import JournalMark
from services.stores.protocol import JobStore

STEP_SECONDS = 0.06
TICK_SECONDS = 0.02


class QuickDriver(Attempt):
    """Counts. Each step goes to a file that no store knows of, for the check of the history."""

    def __init__(self, store: JobStore, home: Home, job_id: str, attempt: int) -> None:
        super().__init__(store, home, job_id, attempt)
        labels = store.get_job(job_id).labels
        self._steps, self._hold = int(labels.get("steps", "8")), labels.get("hold", "")
        self._log = Path(os.environ["LACONIC_TEST_STEPS"])
        self._checkpoint = home.job(job_id).root / "quick-checkpoint"
        self._step, self._within, self._is_running = 0, False, False
        self._state: dict[str, Any] = {}

    def current_progress(self) -> dict[str, Any] | None:
        if not self._is_running:
            return None
        return {"step": self._step, "total_steps": self._steps, "cycle": 1, "stage_index": 0}

    def is_busy(self, *, pausing: bool) -> bool:
        return self._within and (pausing or self._hold == str(self._step + 1))

    def obey(self, command: Any) -> bool:
        if command.kind != "stage":
            return False
        self.event("stage_requested", "taken", dict(command.data), command=command)
        return True

    def work(self) -> None:
        if self._checkpoint.exists():
            self._state = json.loads(self._checkpoint.read_text())
            self._step = self._state["step"]
        position = self._state.get("journal")
        newest = JournalMark(position["attempt"], position["number"]) if position else None
        self.go_on_from(position, lambda entry: is_held(entry, newest, self._step))
        self._wait_if("starting")
        self.store.truncate_metrics(self.job_id, self.attempt, self._step)
        self.become_running()
        self._is_running = True
        while self._step < self._steps:
            self._one_step()
            self._state = {"step": self._step, "journal": self.position()}
            if self._step % 3 == 0:
                self._save()
            self.tick()

    def leave(self) -> str:
        self._save()
        return f" after step {self._step}"

    def _one_step(self) -> None:
        begin, self._within = time.time(), True
        self._wait_if(str(self._step + 1))
        while time.time() < begin + STEP_SECONDS:
            time.sleep(TICK_SECONDS)
            self.tick()
        self._note(begin, time.time())
        self._within = False
        self._step += 1
        self.journal.metrics(self._step, {"step": self._step})
        self.event("counted", f"step {self._step}", {"step": self._step})

    def _note(self, begin: float, end: float) -> None:
        line = {"job": self.job_id, "attempt": self.attempt, "step": self._step + 1}
        with self._log.open("a") as stream:
            stream.write(json.dumps({**line, "begin": begin, "end": end}) + "\n")

    def _save(self) -> None:
        if self._state:
            write_whole(self._checkpoint, json.dumps(self._state))
            self.saved(self._state["journal"])
            self.event("checkpoint", f"checkpoint of step {self._step}", {"step": self._step})

    def _wait_if(self, place: str) -> None:
        if self._hold != place:
            return
        release = self._log.with_name(f"release-{self.job_id}")
        while not release.exists():
            time.sleep(TICK_SECONDS)
            self.tick()
