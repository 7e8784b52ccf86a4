"""Which stage a job is in, and when the next one begins: a pure state machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from algorithms.stage import Stage

SCHEMA = 1
"""Version of the state; loading refuses what it does not know."""

Cause = Literal["steps", "manual"]
"""Why a stage ended: its step budget is used up, or a person asked."""


@dataclass(frozen=True)
class StepOutcome:
    """What one finished step reports."""

    stage: str
    """Name of the stage the step belonged to."""
    step: int
    """Global step, counted from 1."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Figures of the step, for criteria beyond the step count; none reads them yet."""


@dataclass(frozen=True)
class Decision:
    """What happens at a step boundary. A plain record, fit to be written as an event."""

    kind: Literal["stay", "advance", "finish"]
    stage: str
    """The stage the step belonged to."""
    to: str | None = None
    """The stage that begins now; only with ``advance``."""
    cause: Cause | None = None
    """None with ``stay``."""
    evidence: dict[str, int | str | None] = field(default_factory=dict)
    """The counts and the request the decision rests on."""


class StageMachine:
    """Runs through the stages of a job in their order, one ``observe`` for each step."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        """Start before the first step of the first stage.

        Raises:
            ValueError: there is no stage, or two share a name.
        """
        self._stages = tuple(stages)
        names = [s.name for s in self._stages]
        if not names:
            raise ValueError("stages is empty; a job needs at least one")
        if len(set(names)) < len(names):
            raise ValueError(f"stages: names must be unique, got {names}")
        self._index = 0
        self._stage_step = 0
        self._global_step = 0
        self._finished = False
        self._requested: str | None = None

    @property
    def stage(self) -> Stage:
        """The stage of the next step; the last one once the job is finished."""
        return self._stages[self._index]

    @property
    def stage_index(self) -> int:
        """Position of :attr:`stage`, from 0."""
        return self._index

    @property
    def stage_step(self) -> int:
        """Finished steps of the current stage."""
        return self._stage_step

    @property
    def global_step(self) -> int:
        """Finished steps of the job."""
        return self._global_step

    @property
    def finished(self) -> bool:
        """Whether the last stage has ended."""
        return self._finished

    @property
    def total_steps(self) -> int:
        """Steps the job will have run at its end, as far as is known now: what is done, what is
        left of this stage, and the stages ahead. Falls when a stage is cut short."""
        if self._finished:
            return self._global_step
        ahead = self._stages[self._index + 1 :]
        left = self.stage.steps - self._stage_step
        return self._global_step + left + sum(s.steps for s in ahead)

    def request(self, to: str) -> str:
        """Ask for a later stage, by name or as ``next``; it begins at the next step boundary.

        A later request replaces one that waits.

        Returns:
            The name of the stage that will begin.

        Raises:
            ValueError: no stage of this name lies ahead; the message lists those that do.
        """
        ahead = [] if self._finished else [s.name for s in self._stages[self._index + 1 :]]
        # A stage may itself be called "next": its name then wins over the keyword.
        target = ahead[0] if to == "next" and "next" not in ahead and ahead else to
        if target not in ahead:
            allowed = ", ".join(["next", *ahead]) if ahead else "none, this is the last stage"
            known = to == "next" or any(s.name == to for s in self._stages)
            problem = "is not ahead" if known else "is unknown"
            raise ValueError(
                f"stage {to!r} {problem}: the job is in {self.stage.name!r}; allowed: {allowed}"
            )
        self._requested = target
        return target

    def observe(self, outcome: StepOutcome) -> Decision:
        """Count a finished step and decide what follows it.

        A request that waits takes effect here, before the step budget is looked at.

        Raises:
            ValueError: the outcome is not of the step that is due; counting it would shift the
                schedule.
            RuntimeError: the job is finished.
        """
        if self._finished:
            raise RuntimeError(f"step {outcome.step} was observed after the last stage had ended")
        if outcome.stage != self.stage.name or outcome.step != self._global_step + 1:
            raise ValueError(
                f"got step {outcome.step} of stage {outcome.stage!r}, expected step "
                f"{self._global_step + 1} of stage {self.stage.name!r}"
            )
        self._stage_step += 1
        self._global_step += 1
        return self._decide()

    def apply_request(self) -> Decision | None:
        """Begin a requested stage without counting a step: between steps, or when the samples of
        the step under way were dropped for it. Returns None when no request waits."""
        return None if self._requested is None else self._decide()

    @property
    def requested(self) -> Stage | None:
        """The stage that a waiting request names."""
        return next((s for s in self._stages if s.name == self._requested), None)

    def _decide(self) -> Decision:
        left = self.stage
        evidence: dict[str, int | str | None] = {
            "step": self._global_step,
            "stage_step": self._stage_step,
            "stage_steps": left.steps,
            "requested": self._requested,
        }
        if self._requested is not None:
            cause: Cause = "manual"
            following = next(
                i for i, stage in enumerate(self._stages) if stage.name == self._requested
            )
        elif self._stage_step >= left.steps:
            cause = "steps"
            following = self._index + 1
        else:
            return Decision("stay", left.name, evidence=evidence)
        self._requested = None
        if following == len(self._stages):
            self._finished = True
            return Decision("finish", left.name, cause=cause, evidence=evidence)
        self._index = following
        self._stage_step = 0
        return Decision("advance", left.name, self.stage.name, cause, evidence)

    def gauges(self) -> dict[str, float]:
        """Return the figures to export; stage indices count from 0."""
        return {
            "stage_index": float(self._index),
            "stage_count": float(len(self._stages)),
            "stage_step": float(self._stage_step),
            "stage_steps": float(self.stage.steps),
            "global_step": float(self._global_step),
            "total_steps": float(self.total_steps),
            "request_pending": float(self._requested is not None),
            "finished": float(self._finished),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON types, for a checkpoint."""
        return {
            "schema": SCHEMA,
            "stages": [s.name for s in self._stages],
            "stage": self.stage.name,
            "stage_step": self._stage_step,
            "global_step": self._global_step,
            "finished": self._finished,
            "requested": self._requested,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Raises:
            ValueError: another schema, or the checkpoint is of a job with other stages.
        """
        if state.get("schema") != SCHEMA:
            raise ValueError(f"stage machine schema {state.get('schema')!r}, expected {SCHEMA}")
        names = [s.name for s in self._stages]
        if list(state["stages"]) != names:
            raise ValueError(
                f"the checkpoint is of stages {list(state['stages'])}, the job has {names}; "
                "resume with the specification that wrote the checkpoint"
            )
        self._index = names.index(state["stage"])
        self._stage_step = int(state["stage_step"])
        self._global_step = int(state["global_step"])
        self._finished = bool(state["finished"])
        self._requested = state["requested"]
