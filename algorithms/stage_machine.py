"""Which stage a job is in, and when the next one begins: a pure state machine.

It is told what happened (:meth:`StageMachine.observe` each finished step,
:meth:`StageMachine.observe_evaluation` each held-out evaluation, :meth:`StageMachine.request` what
a person wants) and answers with a :class:`Decision`. The position in the schedule only ever grows
and every stage ends after its steps at the latest, so a job can neither go back and forth between
stages nor stay in one for ever, whatever the figures say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from algorithms.criterion_watch import CriterionWatch, Evidence
from algorithms.guard_watch import EvaluationOutcome, GuardWatch
from algorithms.schedule import Cycles, Occurrence, names_ahead, occurrences
from algorithms.stage import Stage

SCHEMA = 2
"""Version of the state; loading refuses what it does not know."""

Cause = Literal[
    "steps",
    "manual",
    "entropy_plateau",
    "length_target",
    "clip_ratio",
    "accuracy_guard",
    "cycle_target",
    "budget",
]
"""Why a stage ended: its steps are used up, a person asked, one of its criteria holds, its guard
tripped, or with it the job: the length target of the cycles is reached, their token budget is used
up."""


@dataclass(frozen=True)
class StepOutcome:
    """What one finished step reports."""

    stage: str
    """Label of the stage the step belonged to."""
    step: int
    """Global step, counted from 1."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Figures of the step's record; what is missing or None is no evidence."""


@dataclass(frozen=True)
class Decision:
    """What happens at a step boundary. A plain record, fit to be written as an event."""

    kind: Literal["stay", "advance", "finish"]
    stage: str
    """Label of the stage the step or the evaluation belonged to."""
    to: str | None = None
    """Label of the stage that begins now; only with ``advance``."""
    cause: Cause | None = None
    """None with ``stay``, unless a guard takes back a stage that has ended already."""
    evidence: Evidence = field(default_factory=dict)
    """The counts, the request and the figures the decision rests on."""
    rollback_to: int | None = None
    """Step of the checkpoint whose weights are to come back before anything else happens."""


class StageMachine:
    """Runs through the stages of a job in their order, one ``observe`` for each step."""

    def __init__(self, stages: Sequence[Stage], cycles: Cycles | None = None) -> None:
        """Start before the first step of the first stage.

        Raises:
            ValueError: there is no stage, or two share a name.
        """
        names = [s.name for s in stages]
        if not names:
            raise ValueError("stages is empty; a job needs at least one")
        if len(set(names)) < len(names):
            raise ValueError(f"stages: names must be unique, got {names}")
        self._cycles = cycles
        self._schedule = occurrences(stages, cycles)
        self._global_step = 0
        self._tokens = 0
        self._finished = False
        self._requested: int | None = None
        self._base: EvaluationOutcome | None = None
        self._evaluated_step: int | None = None
        # The guard of the stage that ended last, until the evaluation at its end has been judged.
        self._closing: tuple[int, GuardWatch] | None = None
        self._enter(0)

    def _enter(self, position: int) -> None:
        """Begin a stage: nothing seen in the one before counts for it."""
        self._position = position
        self._stage_step = 0
        self._watches = [CriterionWatch(c) for c in self.stage.until]
        target = self._cycles.length if self._cycles else None
        self._target = CriterionWatch(target) if target else None
        self._guard = GuardWatch(self.stage.guard)

    # -- reading ------------------------------------------------------------------------------

    @property
    def current(self) -> Occurrence:
        """The stage of the next step and its cycle; the last one once the job is finished."""
        return self._schedule[self._position]

    @property
    def stage(self) -> Stage:
        """The stage of the next step; the last one once the job is finished."""
        return self.current.stage

    @property
    def stage_index(self) -> int:
        """Position of :attr:`stage` in the list of stages, from 0."""
        return self.current.index

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
        """The most steps the job will have run at its end: what is done, what is left of this
        stage, and the stages ahead. Falls when a stage or the cycles are cut short."""
        if self._finished:
            return self._global_step
        ahead = self._schedule[self._position + 1 :]
        left = self.stage.steps - self._stage_step
        return self._global_step + left + sum(o.stage.steps for o in ahead)

    @property
    def requested(self) -> Occurrence | None:
        """The stage that a waiting request names."""
        return None if self._requested is None else self._schedule[self._requested]

    @property
    def evaluated_step(self) -> int | None:
        """Step of the newest evaluation, 0 for the base model; None before any."""
        return self._evaluated_step

    @property
    def rollback_steps(self) -> frozenset[int]:
        """Steps whose checkpoints must be kept, because a guard may ask for them."""
        guards = [self._guard, *([self._closing[1]] if self._closing else [])]
        return frozenset(g.rollback_step for g in guards if g.rollback_step is not None)

    # -- requests -----------------------------------------------------------------------------

    def request(self, to: str) -> str:
        """Ask for a later stage, by name or as ``next``; it begins at the next step boundary.

        With cycles a name means its next occurrence. A later request replaces one that waits.

        Returns:
            The label of the stage that will begin.

        Raises:
            ValueError: no stage of this name lies ahead; the message lists those that do.
        """
        ahead = {} if self._finished else names_ahead(self._schedule, self._position)
        # A stage may itself be called "next": its name then wins over the keyword.
        target = next(iter(ahead)) if to == "next" and "next" not in ahead and ahead else to
        if target not in ahead:
            allowed = ", ".join(["next", *ahead]) if ahead else "none, this is the last stage"
            known = to == "next" or any(o.stage.name == to for o in self._schedule)
            problem = "is not ahead" if known else "is unknown"
            raise ValueError(
                f"stage {to!r} {problem}: the job is in {self.current.label!r}; allowed: {allowed}"
            )
        self._requested = ahead[target]
        return self._schedule[ahead[target]].label

    def apply_request(self) -> Decision | None:
        """Begin a requested stage without counting a step: between steps, or when the samples of
        the step under way were dropped for it. Returns None when no request waits."""
        return None if self._requested is None else self._end_stage("manual", self._evidence())

    # -- deciding -----------------------------------------------------------------------------

    def observe(self, outcome: StepOutcome) -> Decision:
        """Count a finished step and decide what follows it.

        A request that waits takes effect first, then the token budget, then the criteria in their
        order, then the step budget.

        Raises:
            ValueError: the outcome is not of the step that is due; counting it would shift the
                schedule.
            RuntimeError: the job is finished.
        """
        if self._finished:
            raise RuntimeError(f"step {outcome.step} was observed after the last stage had ended")
        label = self.current.label
        if outcome.stage != label or outcome.step != self._global_step + 1:
            raise ValueError(
                f"got step {outcome.step} of stage {outcome.stage!r}, expected step "
                f"{self._global_step + 1} of stage {label!r}"
            )
        self._stage_step += 1
        self._global_step += 1
        tokens = outcome.metrics.get("generated_tokens")
        if tokens is not None and math.isfinite(tokens):
            self._tokens += int(tokens)
        base_length = self._base.length if self._base else None
        for watch in (*self._watches, *([self._target] if self._target else [])):
            watch.observe(self._stage_step, outcome.metrics, base_length)
        return self._decide()

    def _decide(self) -> Decision:
        evidence = self._evidence()
        budget = self._cycles.token_budget if self._cycles else None
        if self._requested is not None:
            return self._end_stage("manual", evidence)
        if budget is not None and self._tokens >= budget:
            return self._end_job("budget", evidence | {"tokens": self._tokens, "limit": budget})
        for index, watch in enumerate(self._watches):
            if watch.holds:
                evidence |= {"until": index} | watch.evidence
                return self._end_stage(watch.criterion.type, evidence)
        if self._stage_step >= self.stage.steps:
            return self._end_stage("steps", evidence)
        return Decision("stay", self.current.label, evidence=evidence)

    def observe_evaluation(self, found: EvaluationOutcome) -> Decision:
        """Take in a held-out evaluation of the policy as it is now, and hold it against the guard.

        The one at the end of a stage is judged by the guard of that stage, and is the first of the
        next one. A guard ends its stage or takes it back once; then it has had its say.

        Raises:
            ValueError: the evaluation is not of the newest step.
        """
        if found.step != self._global_step:
            raise ValueError(
                f"got an evaluation of step {found.step}, the job is at step {self._global_step}"
            )
        self._evaluated_step = found.step
        if self._base is None and found.step == 0:
            self._base = found
        if self._closing is not None:
            (position, guard), self._closing = self._closing, None
            tripped, back = guard.judge(found, self._base), self._rollback(guard)
            if tripped is not None and back is not None:
                label, evidence = self._schedule[position].label, {"step": found.step} | tripped
                return Decision("stay", label, None, "accuracy_guard", evidence, back)
        elif self._stage_step and not self._finished:
            tripped = self._guard.judge(found, self._base)
            if tripped is not None:
                back = self._rollback(self._guard)
                return self._end_stage("accuracy_guard", self._evidence() | tripped, back)
        self._guard.note(found)
        return Decision("stay", self.current.label, evidence=self._evidence())

    def _rollback(self, guard: GuardWatch) -> int | None:
        """Return the step to go back to; None when the policy of that step is the one at hand."""
        step = guard.rollback_step
        return step if step != self._global_step else None

    def _evidence(self) -> Evidence:
        return {
            "step": self._global_step,
            "stage_step": self._stage_step,
            "stage_steps": self.stage.steps,
            "requested": self.requested.label if self.requested else None,
        }

    def _end_stage(
        self, cause: Cause, evidence: Evidence, rollback_to: int | None = None
    ) -> Decision:
        """Go on with the requested stage or the next one; finish when there is none."""
        left = self.current
        following = self._position + 1 if self._requested is None else self._requested
        # After a guard the lengths measured are those of a policy that is not kept.
        natural = self._requested is None and cause != "accuracy_guard"
        if following == len(self._schedule):
            return self._end_job(cause, evidence, rollback_to)
        if natural and self._schedule[following].cycle > left.cycle and self._target_reached:
            assert self._target is not None
            evidence = evidence | self._target.evidence | {"ended_by": cause}
            return self._end_job("cycle_target", evidence)
        # What the guard itself ended is not judged again.
        self._closing = None if cause == "accuracy_guard" else (self._position, self._guard)
        self._requested = None
        self._enter(following)
        return Decision("advance", left.label, self.current.label, cause, evidence, rollback_to)

    @property
    def _target_reached(self) -> bool:
        return self._target is not None and self._target.holds

    def _end_job(
        self, cause: Cause, evidence: Evidence, rollback_to: int | None = None
    ) -> Decision:
        self._finished = True
        self._requested = None
        self._closing = None if cause == "accuracy_guard" else (self._position, self._guard)
        return Decision("finish", self.current.label, None, cause, evidence, rollback_to)

    # -- outside ------------------------------------------------------------------------------

    def gauges(self) -> dict[str, float]:
        """Return the figures to export; stage indices count from 0, cycles from 1. Those of the
        stage's criteria carry the criterion's index: ``until_0_reading``."""
        criteria = {
            f"until_{index}_{name}": value
            for index, watch in enumerate(self._watches)
            for name, value in watch.gauges().items()
        }
        return {
            "stage_index": float(self.current.index),
            "stage_count": float(self._schedule[-1].index + 1),
            "cycle": float(self.current.cycle),
            "stage_step": float(self._stage_step),
            "stage_steps": float(self.stage.steps),
            "global_step": float(self._global_step),
            "total_steps": float(self.total_steps),
            "generated_tokens": float(self._tokens),
            "request_pending": float(self._requested is not None),
            "finished": float(self._finished),
            **criteria,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON types, for a checkpoint."""
        closing = self._closing
        return {
            "schema": SCHEMA,
            "stages": [o.label for o in self._schedule],
            "stage": self.current.label,
            "stage_step": self._stage_step,
            "global_step": self._global_step,
            "tokens": self._tokens,
            "finished": self._finished,
            "requested": self.requested.label if self.requested else None,
            "base": None if self._base is None else asdict(self._base),
            "evaluated_step": self._evaluated_step,
            "until": [w.state_dict() for w in self._watches],
            "target": None if self._target is None else self._target.state_dict(),
            "guard": self._guard.state_dict(),
            "closing": None
            if closing is None
            else {"stage": self._schedule[closing[0]].label, "guard": closing[1].state_dict()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Raises:
            ValueError: another schema, or the checkpoint is of a job with other stages.
        """
        if state.get("schema") != SCHEMA:
            raise ValueError(
                f"stage machine schema {state.get('schema')!r}, expected {SCHEMA}: another version "
                "of Laconic wrote this checkpoint; resume with that version, or start the job anew"
            )
        labels = [o.label for o in self._schedule]
        if list(state["stages"]) != labels:
            raise ValueError(
                f"the checkpoint is of stages {list(state['stages'])}, the job has {labels}; "
                "resume with the specification that wrote the checkpoint"
            )
        self._enter(labels.index(state["stage"]))
        self._stage_step = int(state["stage_step"])
        self._global_step = int(state["global_step"])
        self._tokens = int(state["tokens"])
        self._finished = bool(state["finished"])
        requested = state["requested"]
        self._requested = None if requested is None else labels.index(requested)
        self._base = EvaluationOutcome.from_dict(state["base"])
        self._evaluated_step = state["evaluated_step"]
        for watch, saved in zip(self._watches, state["until"], strict=True):
            watch.load_state_dict(saved)
        if self._target is not None:
            self._target.load_state_dict(state["target"])
        self._guard.load_state_dict(state["guard"])
        self._closing = None
        if (closing := state["closing"]) is not None:
            position = labels.index(closing["stage"])
            guard = GuardWatch(self._schedule[position].stage.guard)
            guard.load_state_dict(closing["guard"])
            self._closing = (position, guard)
