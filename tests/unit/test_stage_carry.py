"""The state of a stage machine, carried over to other stages: what stays, what begins anew."""

from __future__ import annotations

import json

import pytest

from algorithms.criteria import AccuracyGuard, ClipRatio
from algorithms.guard_watch import EvaluationOutcome
from algorithms.objectives import Compress
from algorithms.schedule import Cycles
from algorithms.stage import Stage
from algorithms.stage_carry import CannotCarry, carry
from algorithms.stage_machine import StageMachine, StepOutcome


def stage(name, steps=3, **more):
    return Stage(name=name, objective=Compress(), steps=steps, **more)


def state_after(stages, steps, cycles=None):
    machine = StageMachine(stages, cycles)
    machine.observe_evaluation(EvaluationOutcome(0, 0.8, (0.7, 0.9), 100.0))
    for _ in range(steps):
        outcome = StepOutcome(
            machine.current.label, machine.global_step + 1, {"truncated_ratio": 0.5}
        )
        machine.observe(outcome)
    return json.loads(json.dumps(machine.state_dict()))


def loaded(state, stages, cycles=None):
    machine = StageMachine(stages, cycles)
    machine.load_state_dict(state)
    return machine


OLD = [stage("a"), stage("b")]


@pytest.mark.parametrize("steps", [0, 2, 3, 4])
def test_the_same_stages_carry_the_state_as_it_is(steps):
    state = state_after(OLD, steps)
    assert carry(state, (OLD, None), (OLD, None)) == state


def test_a_stage_at_hand_may_get_longer_and_others_behind_it():
    new = [stage("a", 5, learning_rate=3e-6), stage("c"), stage("d")]
    machine = loaded(carry(state_after(OLD, 2), (OLD, None), (new, None)), new)
    assert (machine.current.label, machine.stage_step, machine.global_step) == ("a", 2, 2)
    assert machine.total_steps == 11


def test_what_is_trained_cannot_be_changed():
    state = state_after(OLD, 4)
    for new in (
        [stage("a", 4), stage("b")],
        [stage("a", learning_rate=1e-3), stage("b")],
        [stage("b"), stage("a")],
        [stage("b")],
    ):
        with pytest.raises(CannotCarry):
            carry(state, (OLD, None), (new, None))


def test_a_stage_cannot_be_shorter_than_it_was():
    with pytest.raises(CannotCarry, match="has run 2 of its 2 steps"):
        carry(state_after(OLD, 2), (OLD, None), ([stage("a", 2), stage("b")], None))


def test_a_finished_job_goes_on_where_there_is_something_new():
    state = state_after(OLD, 6)
    assert state["finished"]
    for same in (OLD, [stage("a"), stage("b", learning_rate=1e-3)]):
        with pytest.raises(CannotCarry, match="nothing is left"):
            carry(state, (OLD, None), (same, None))
    longer = [stage("a"), stage("b", 4)]
    machine = loaded(carry(state, (OLD, None), (longer, None)), longer)
    assert (machine.finished, machine.current.label, machine.total_steps) == (False, "b", 7)
    more = [*OLD, stage("c", 2)]
    machine = loaded(carry(state, (OLD, None), (more, None)), more)
    assert (machine.finished, machine.current.label, machine.stage_step) == (False, "c", 0)


def test_a_stage_that_ended_early_does_not_go_on_for_being_asked_the_same():
    early = [stage("a", 10, until=[ClipRatio(at_least=0.1, window=1)])]
    state = state_after(early, 1)
    assert state["finished"]
    with pytest.raises(CannotCarry, match="nothing is left"):
        carry(state, (early, None), (early, None))
    free = [stage("a", 10)]
    machine = loaded(carry(state, (early, None), (free, None)), free)
    assert (machine.finished, machine.stage_step) == (False, 1)


def test_cycles_that_ended_early_do_not_go_on_by_themselves():
    cycles = Cycles(max_cycles=2, token_budget=1)
    machine = StageMachine(OLD, cycles)
    machine.observe(StepOutcome("a", 1, {"generated_tokens": 5.0}))
    state = machine.state_dict()
    assert state["finished"]
    with pytest.raises(CannotCarry, match="nothing is left"):
        carry(state, (OLD, cycles), (OLD, cycles))


def test_criteria_and_guards_that_are_changed_begin_anew():
    guard, other = AccuracyGuard(max_drop=0.1), AccuracyGuard(max_drop=0.2)
    clip, stricter = ClipRatio(at_least=0.9, window=3), ClipRatio(at_least=0.95, window=3)
    old = [stage("a", 10, guard=guard, until=[clip])]
    state = state_after(old, 2)
    assert state["until"][0]["seen"]
    assert state["guard"]["best"]["step"] == 0
    new = [stage("a", 10, guard=other, until=[stricter, clip])]
    carried = carry(state, (old, None), (new, None))
    assert carried["until"][0]["seen"] == []
    assert carried["until"][1] == state["until"][0]
    assert carried["guard"]["best"] is None
    loaded(carried, new)
