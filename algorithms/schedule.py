"""The stages of a job in the order they run, cycle after cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from algorithms.criteria import LengthTarget
from algorithms.stage import Stage
from algorithms.strict import Strict


class Cycles(Strict):
    """Repeats the list of stages: compress, explore, compress, ... (gap: the paper runs it once).

    The job ends with the cycle that reaches the length target, with the step that uses up the token
    budget, or after ``max_cycles``.
    """

    max_cycles: int = Field(default=3, ge=1, le=1000)
    """The list of stages runs at most this many times."""
    length: LengthTarget | None = None
    """No further cycle begins once the newest steps of a cycle's last stage reach this target."""
    token_budget: int | None = Field(default=None, ge=1)
    """Response tokens generated for training, summed over finished steps; the job ends with the
    step that reaches it. Evaluations do not count."""


@dataclass(frozen=True)
class Occurrence:
    """One stage in one cycle."""

    stage: Stage
    index: int
    """Position in the list of stages, from 0."""
    cycle: int
    """From 1."""

    @property
    def label(self) -> str:
        """Unique in the job: the stage's name, from the second cycle on with its number behind a
        dot, which no name contains (``compression.2``)."""
        return self.stage.name if self.cycle == 1 else f"{self.stage.name}.{self.cycle}"


def occurrences(stages: Sequence[Stage], cycles: Cycles | None) -> tuple[Occurrence, ...]:
    """Return every stage the job can run, in order."""
    return tuple(
        Occurrence(stage, index, cycle)
        for cycle in range(1, (cycles.max_cycles if cycles else 1) + 1)
        for index, stage in enumerate(stages)
    )


def names_ahead(schedule: Sequence[Occurrence], position: int) -> dict[str, int]:
    """Return the names of the stages after ``position``, each with its next position, in order."""
    ahead: dict[str, int] = {}
    for offset, occurrence in enumerate(schedule[position + 1 :], start=position + 1):
        ahead.setdefault(occurrence.stage.name, offset)
    return ahead
