"""The home folder: where everything Laconic keeps on disk has its place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LACONIC_HOME"
DEFAULT = ".laconic"


@dataclass(frozen=True)
class Home:
    """Paths below one root; nothing is created before it is written to."""

    root: Path

    @classmethod
    def resolve(cls, path: str | Path | None = None) -> Home:
        """The given folder, else ``LACONIC_HOME``, else ``.laconic`` in the working directory."""
        chosen = path if path is not None else os.environ.get(VARIABLE) or DEFAULT
        return cls(Path(chosen).expanduser().resolve())

    def create(self) -> Home:
        """Make the folder.

        Raises:
            OSError: it cannot be made or written to; the message names it.
        """
        (self.root / "jobs").mkdir(parents=True, exist_ok=True)
        if not os.access(self.root, os.W_OK):
            raise PermissionError(f"home folder {self.root} is not writable; set {VARIABLE}")
        return self

    @property
    def database(self) -> Path:
        return self.root / "jobs.db"

    @property
    def control_database(self) -> Path:
        """Keys, idempotency, audit log and webhooks."""
        return self.root / "control.db"

    @property
    def secret(self) -> Path:
        """What keys are hashed and cursors signed with."""
        return self.root / "control-plane.key"

    @property
    def store(self) -> Path:
        """The URL of the job store, where that is not :attr:`database`: for the drivers of this
        machine, and nobody else's eyes."""
        return self.root / "store.url"

    @property
    def lock(self) -> Path:
        """Held by the control plane that serves this folder."""
        return self.root / "control-plane.lock"

    @property
    def hub(self) -> Path:
        """Cache of what jobs name on the Hugging Face hub."""
        return self.root / "hub"

    def promoted(self, tenant: str) -> Path:
        """The models a tenant has given a name."""
        return self.root / "promoted" / tenant

    def job(self, job_id: str) -> JobFolder:
        return JobFolder(self.root / "jobs" / job_id)


@dataclass(frozen=True)
class JobFolder:
    """What one job leaves on disk."""

    root: Path

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    def evaluation(self, label: str) -> Path:
        """``base``, the label of a stage (its name, from the second cycle on with the cycle's
        number), or that with ``.midway-STEP`` for one within the stage."""
        return self.evaluations / f"{label}.json"

    @property
    def result(self) -> Path:
        """What an evaluation of its own leaves (``services/evaluation/result_folder.py``)."""
        return self.root / "result"

    @property
    def models(self) -> Path:
        return self.root / "models"

    def model(self, label: str) -> Path:
        """Hugging Face folder of the policy after a stage."""
        return self.models / label

    @property
    def gold_check(self) -> Path:
        """Which accepted answers the first attempt found bad; the later ones go by it."""
        return self.root / "gold_check.json"

    @property
    def inheritance(self) -> Path:
        """What a fork brings along, until its driver has written it into the store."""
        return self.root / "inheritance.json"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def ray_train(self) -> Path:
        """Where Ray Train keeps its own records of the learner group."""
        return self.root / "ray_train"

    @property
    def logs(self) -> Path:
        """One file for each worker (:mod:`services.role_log`)."""
        return self.root / "logs"

    @property
    def spool(self) -> Path:
        """What drivers could not write into the job store yet (:mod:`services.journal`)."""
        return self.root / "spool"

    @property
    def driver_log(self) -> Path:
        return self.root / "driver.log"
