"""The jobs of a sweep: which exist, which are missing, which may begin. No clock and no network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.ablation.arms import Arm, fingerprint
from services.atomic_write import write_whole
from services.spec.job import JobSpec

REFERENCE = "separated"
"""The arm whose generated tokens bound the budgeted ones."""


@dataclass(frozen=True)
class Run:
    """One repetition of an arm."""

    arm: Arm
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        return self.arm.name, self.seed


class Ledger:
    """Which job stands for which specification, on disk: a sweep stopped anywhere goes on there.

    It is keyed by what a job does and not by the study that asked for it, so the arm that all
    studies share runs once.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._jobs: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def job_of(self, spec: JobSpec) -> str | None:
        """Return the job that runs, or ran, this specification."""
        return self._jobs.get(fingerprint(spec))

    def record(self, spec: JobSpec, job_id: str) -> None:
        """Note a job; on disk when this returns."""
        self._jobs[fingerprint(spec)] = job_id
        write_whole(self._file, json.dumps(self._jobs, indent=1))


def in_order(arms: Sequence[Arm], seeds: Sequence[int]) -> Iterator[Run]:
    """Yield every run, seed by seed, so that a sweep that is stopped has whole comparisons; the
    arm that others take their budget from comes first."""
    ranked = sorted(arms, key=lambda arm: arm.name != REFERENCE)
    for seed in seeds:
        for arm in ranked:
            yield Run(arm, seed)


def in_flight(
    runs: Sequence[Run], position: int, parallel: int, tokens: Mapping[tuple[str, int], int]
) -> list[Run]:
    """Return the runs to have submitted while the one at ``position`` is waited for.

    Args:
        runs: those that are missing, in order.
        position: from 0.
        parallel: runs at the same time, the one waited for among them.
        tokens: generated tokens of the runs that have ended; a run whose budget is not among them
            yet is left out.
    """
    ahead = runs[position : position + parallel]
    return [r for r in ahead if budget_known(r, tokens)]


def budget_known(run: Run, tokens: Mapping[tuple[str, int], int]) -> bool:
    """Whether a run has no budget, or the run it takes it from has ended."""
    return not run.arm.budgeted or (REFERENCE, run.seed) in tokens


def specification(run: Run, tokens: Mapping[tuple[str, int], int]) -> JobSpec:
    """Return what a run submits.

    Args:
        run: one repetition of an arm.
        tokens: generated tokens of the runs that have ended, by arm and seed.

    Raises:
        KeyError: a budgeted arm comes before the arm its budget is taken from.
    """
    budget = tokens[REFERENCE, run.seed] if run.arm.budgeted else None
    return run.arm.seeded(run.seed, budget)
