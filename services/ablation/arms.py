"""One arm of a study: a job specification that differs from the preset in one respect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from algorithms.objectives import Compress, Explore
from algorithms.schedule import Cycles
from algorithms.stage import Stage
from services.spec.job import JobSpec
from services.spec.problems import parse_spec


class NotTwoStages(ValueError):
    """The preset is not a compression and an exploration stage, in this order."""


@dataclass(frozen=True)
class Arm:
    """What is run for one row, or for several rows, of a table."""

    name: str
    spec: JobSpec
    checkpoints: Mapping[str, str]
    """Rows: what to call the policy after a stage, by the label of the stage. ``last`` stands for
    whatever stage a job ended with, where that is not known beforehand."""
    budgeted: bool = False
    """Ends with the step that has used as many generated tokens as the preset itself did with the
    same seed."""

    def seeded(self, seed: int, budget: int | None = None) -> JobSpec:
        """Return the specification of one repetition; ``budget`` is in generated tokens."""
        named = {"seed": seed, "name": f"ablate-{self.name}-{seed}"}
        if not self.budgeted:
            return self.spec.model_copy(update=named)
        cycles = self.spec.cycles or Cycles(max_cycles=1)
        bounded = cycles.model_copy(update={"token_budget": budget})
        return self.spec.model_copy(update={**named, "cycles": bounded})


_PLACEMENT: Final = {"cpus", "gpus", "threads", "timeout_seconds"}
"""What a worker may use and how long it may take: says how fast a run is, not what it does."""


def fingerprint(spec: JobSpec) -> str:
    """Return a digest of what a run does, so that equal runs are made once for all studies, and
    count on another machine too: everything but its name, where its workers run and how often it
    may go on by itself."""
    apart: dict[str, Any] = {
        **{"name": True, "restarts": True},
        **{"generator": _PLACEMENT, "learner": _PLACEMENT},
    }
    fields = spec.model_dump(mode="json", exclude=apart)
    text = json.dumps(fields, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def varied(spec: JobSpec, changes: Mapping[str, Any]) -> JobSpec:
    """Return ``spec`` with whole fields replaced, checked as any specification is.

    Raises:
        SpecError: the result is not valid.
    """
    return parse_spec({**spec.model_dump(mode="json"), **changes})


def separated(spec: JobSpec, name: str = "compression, then exploration") -> Arm:
    """The preset itself, the arm that every study compares with."""
    return Arm("separated", spec, rows(spec, name))


def rows(spec: JobSpec, name: str) -> dict[str, str]:
    """Rows of a two-stage arm: after compression and after exploration."""
    compress, explore = two_stages(spec)
    return {compress.name: f"{name}: after compression", explore.name: name}


def two_stages(spec: JobSpec) -> tuple[Stage, Stage]:
    """Return the two stages of the method.

    Raises:
        NotTwoStages: the specification has others.
    """
    if [type(s.objective) for s in spec.stages] != [Compress, Explore] or spec.evaluation is None:
        found = ", ".join(s.objective.type for s in spec.stages)
        raise NotTwoStages(
            "the ablations start from a preset with an evaluation set and two stages, compress and "
            f"explore; this one has {found}" + ("" if spec.evaluation else " and no evaluation")
        )
    compress, explore = spec.stages
    return compress, explore


def dump(stage: Stage) -> dict[str, Any]:
    """Return a stage as plain data, free to be changed."""
    return stage.model_dump(mode="json")
