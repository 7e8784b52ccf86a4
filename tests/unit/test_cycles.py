"""Cycles: the list of stages again and again, until a length target or a budget."""

from __future__ import annotations

import json

import pytest

from algorithms.criteria import ClipRatio, LengthTarget
from algorithms.objectives import Compress
from algorithms.schedule import Cycles, names_ahead, occurrences
from algorithms.stage import Stage
from algorithms.stage_machine import StageMachine, StepOutcome


def stage(name, steps, **fields):
    return Stage(name=name, objective=Compress(), steps=steps, **fields)


def machine(stages, **cycles):
    return StageMachine(stages, Cycles(**cycles))


def step(m, **metrics):
    return m.observe(StepOutcome(m.current.label, m.global_step + 1, metrics))


def test_the_list_is_repeated_under_labels_of_their_own():
    m = machine([stage("a", 1), stage("b", 1)], max_cycles=3)
    assert m.total_steps == 6
    seen = []
    while not m.finished:
        seen.append((m.current.label, m.current.cycle, m.stage_index))
        decision = step(m)
    assert seen == [
        ("a", 1, 0),
        ("b", 1, 1),
        ("a.2", 2, 0),
        ("b.2", 2, 1),
        ("a.3", 3, 0),
        ("b.3", 3, 1),
    ]
    assert (decision.kind, decision.cause) == ("finish", "steps")


def test_no_cycle_begins_once_the_last_stage_reached_the_length_target():
    target = LengthTarget(tokens=50, window=2)
    m = machine([stage("a", 2), stage("b", 2)], max_cycles=9, length=target)
    for _ in range(2):
        step(m, response_length_mean=10.0)  # short in the first stage says nothing
    step(m, response_length_mean=60.0)
    assert step(m, response_length_mean=60.0).to == "a.2"
    for _ in range(2):
        step(m, response_length_mean=60.0)
    step(m, response_length_mean=55.0)
    decision = step(m, response_length_mean=45.0)
    assert (decision.kind, decision.stage, decision.cause) == ("finish", "b.2", "cycle_target")
    assert (decision.evidence["reading"], decision.evidence["limit"]) == (50.0, 50.0)
    assert decision.evidence["ended_by"] == "steps"
    assert m.total_steps == m.global_step == 8


def test_the_budget_ends_the_job_with_the_step_that_uses_it_up():
    m = machine([stage("a", 2), stage("b", 9)], max_cycles=9, token_budget=100)
    assert [step(m, generated_tokens=t).kind for t in (40, 40, None)] == ["stay", "advance", "stay"]
    decision = step(m, generated_tokens=20)
    assert (decision.kind, decision.stage, decision.cause) == ("finish", "b", "budget")
    assert (decision.evidence["tokens"], decision.evidence["limit"]) == (100, 100)


def test_a_criterion_begins_anew_in_every_cycle():
    clip = ClipRatio(at_most=0.1, window=2)
    m = machine([stage("a", 9, until=(clip,)), stage("b", 1)], max_cycles=2)
    step(m, truncated_ratio=0.0)
    decision = step(m, truncated_ratio=0.0)
    assert (decision.to, decision.cause, decision.evidence["until"]) == ("b", "clip_ratio", 0)
    step(m)
    assert m.current.label == "a.2"
    assert step(m, truncated_ratio=0.0).kind == "stay"
    assert step(m, truncated_ratio=0.0).to == "b.2"


def test_a_request_means_the_next_occurrence():
    m = machine([stage("a", 5), stage("b", 5)], max_cycles=2)
    assert m.request("a") == "a.2"
    assert step(m).to == "a.2"
    assert m.request("next") == "b.2"
    assert step(m).to == "b.2"
    with pytest.raises(ValueError, match=r"'a' is not ahead: the job is in 'b\.2'"):
        m.request("a")


def test_a_request_goes_before_the_budget():
    m = machine([stage("a", 5), stage("b", 5)], max_cycles=2, token_budget=10)
    m.request("b")
    assert step(m, generated_tokens=10).cause == "manual"
    assert step(m).cause == "budget"


def test_names_ahead_come_in_the_order_of_their_next_turn():
    schedule = occurrences([stage("a", 1), stage("b", 1)], Cycles(max_cycles=2))
    assert list(names_ahead(schedule, 0).items()) == [("b", 1), ("a", 2)]
    assert names_ahead(schedule, 2) == {"b": 3}
    assert names_ahead(schedule, 3) == {}


def test_a_checkpoint_with_other_cycles_is_refused():
    stages = [stage("a", 1)]
    state = json.loads(json.dumps(machine(stages, max_cycles=2).state_dict()))
    with pytest.raises(ValueError, match=r"stages \['a', 'a\.2'\], the job has \['a'\]"):
        StageMachine(stages).load_state_dict(state)
