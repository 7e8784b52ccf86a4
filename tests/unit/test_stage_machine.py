"""The stage machine: budgets, requests, and restoring."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.objectives import Compress
from algorithms.stage import Stage
from algorithms.stage_machine import Decision, StageMachine, StepOutcome


def stage(name, steps):
    return Stage(name=name, objective=Compress(), steps=steps)


def machine(**steps):
    return StageMachine([stage(name, n) for name, n in steps.items()])


def step(m):
    """Run one step of whatever stage the machine is in."""
    return m.observe(StepOutcome(m.stage.name, m.global_step + 1))


def test_stages_run_for_their_steps_in_order():
    m = machine(a=2, b=1)
    seen = [(d.kind, d.stage, d.to, d.cause) for d in (step(m), step(m), step(m))]
    assert seen == [
        ("stay", "a", None, None),
        ("advance", "a", "b", "steps"),
        ("finish", "b", None, "steps"),
    ]
    assert m.finished
    assert (m.global_step, m.total_steps) == (3, 3)


def test_position_before_within_and_after_a_stage():
    m = machine(a=2, b=3)
    assert (m.stage.name, m.stage_index, m.stage_step, m.global_step) == ("a", 0, 0, 0)
    step(m)
    assert (m.stage.name, m.stage_index, m.stage_step, m.global_step) == ("a", 0, 1, 1)
    step(m)
    assert (m.stage.name, m.stage_index, m.stage_step, m.global_step) == ("b", 1, 0, 2)


def test_evidence_can_be_written_as_an_event():
    m = machine(a=1, b=1)
    decision = step(m)
    assert decision.evidence == {"step": 1, "stage_step": 1, "stage_steps": 1, "requested": None}
    assert json.loads(json.dumps(decision.__dict__)) == decision.__dict__


def test_a_request_takes_effect_at_the_next_boundary_and_no_earlier():
    m = machine(a=5, b=2)
    step(m)
    assert m.request("next") == "b"
    assert m.stage.name == "a"
    assert m.gauges()["request_pending"] == 1
    decision = step(m)
    assert (decision.kind, decision.to, decision.cause) == ("advance", "b", "manual")
    assert decision.evidence["requested"] == "b"
    assert decision.evidence["stage_step"] == 2
    assert m.gauges()["request_pending"] == 0
    assert step(m).kind == "stay"
    assert m.total_steps == 4


def test_a_request_may_come_before_the_first_step_and_skip_stages():
    m = machine(a=5, b=5, c=2)
    m.request("c")
    assert step(m).to == "c"
    assert m.stage_index == 2
    assert [step(m).kind, step(m).kind] == ["stay", "finish"]


def test_a_later_request_replaces_the_one_that_waits():
    m = machine(a=5, b=5, c=5)
    m.request("c")
    m.request("b")
    assert step(m).to == "b"
    assert step(m).kind == "stay"


def test_a_request_at_the_last_step_of_a_stage_advances_once():
    m = machine(a=1, b=3)
    m.request("next")
    decision = step(m)
    assert (decision.to, decision.cause) == ("b", "manual")
    assert (m.stage.name, m.stage_step) == ("b", 0)
    assert step(m).kind == "stay"


@pytest.mark.parametrize(
    ("to", "problem"),
    [("a", "is not ahead"), ("b", "is not ahead"), ("x", "is unknown")],
)
def test_a_stage_that_is_not_ahead_is_refused_with_those_that_are(to, problem):
    m = machine(a=1, b=5, c=5)
    step(m)
    with pytest.raises(ValueError, match=rf"{problem}.*in 'b'; allowed: next, c$"):
        m.request(to)
    assert m.gauges()["request_pending"] == 0


def test_the_last_stage_has_no_next():
    m = machine(a=1)
    with pytest.raises(ValueError, match="this is the last stage"):
        m.request("next")
    step(m)
    with pytest.raises(ValueError, match="allowed: none"):
        m.request("a")


def test_a_stage_may_be_called_next():
    m = StageMachine([stage("a", 5), stage("b", 5), stage("next", 5)])
    assert m.request("next") == "next"
    assert step(m).to == "next"


def test_a_step_that_is_not_due_is_refused():
    m = machine(a=3, b=1)
    step(m)
    for outcome in (StepOutcome("a", 1), StepOutcome("a", 3), StepOutcome("b", 2)):
        with pytest.raises(ValueError, match="expected step 2 of stage 'a'"):
            m.observe(outcome)
    assert m.global_step == 1


def test_nothing_follows_the_end():
    m = machine(a=1)
    step(m)
    with pytest.raises(RuntimeError, match="last stage had ended"):
        m.observe(StepOutcome("a", 2))


def test_gauges():
    m = machine(a=2, b=3)
    step(m)
    assert m.gauges() == {
        "stage_index": 0,
        "stage_count": 2,
        "cycle": 1,
        "stage_step": 1,
        "stage_steps": 2,
        "global_step": 1,
        "total_steps": 5,
        "generated_tokens": 0,
        "request_pending": 0,
        "finished": 0,
    }


plans = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(plans, st.data())
def test_restoring_at_any_point_changes_nothing(plan, data):
    stages = [stage(f"s{i}", n) for i, n in enumerate(plan)]
    straight, broken = StageMachine(stages), StageMachine(stages)
    while not straight.finished:
        ahead = [s.name for s in stages[straight.stage_index + 1 :]]
        if ahead and data.draw(st.booleans()):
            to = data.draw(st.sampled_from(["next", *ahead]))
            straight.request(to)
            broken.request(to)
        if data.draw(st.booleans()):
            state = json.loads(json.dumps(broken.state_dict()))
            broken = StageMachine(stages)
            broken.load_state_dict(state)
        assert step(broken) == step(straight)
        assert broken.gauges() == straight.gauges()
    assert broken.finished


@given(plans)
def test_without_requests_every_planned_step_runs_once(plan):
    m = StageMachine([stage(f"s{i}", n) for i, n in enumerate(plan)])
    assert m.total_steps == sum(plan)
    kinds = []
    while not m.finished:
        kinds.append(step(m).kind)
    assert len(kinds) == sum(plan)
    assert kinds.count("advance") == len(plan) - 1
    assert kinds[-1] == "finish"


def test_a_checkpoint_of_another_job_is_refused():
    state = machine(a=1, b=1).state_dict()
    with pytest.raises(ValueError, match=r"stages \['a', 'b'\], the job has \['a', 'c'\]"):
        machine(a=1, c=1).load_state_dict(state)
    with pytest.raises(ValueError, match="schema 7"):
        machine(a=1, b=1).load_state_dict({**state, "schema": 7})


def test_stages_must_exist_and_differ():
    with pytest.raises(ValueError, match="empty"):
        StageMachine([])
    with pytest.raises(ValueError, match="unique"):
        StageMachine([stage("a", 1), stage("a", 1)])


def test_a_decision_defaults_to_no_cause():
    assert Decision("stay", "a").cause is None
