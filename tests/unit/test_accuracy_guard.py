"""The accuracy guard: when it trips, where it goes back to, and that it does so once."""

from __future__ import annotations

import json

import pytest

from algorithms.criteria import AccuracyGuard
from algorithms.guard_watch import EvaluationOutcome
from algorithms.objectives import Compress
from algorithms.stage import Stage
from algorithms.stage_machine import StageMachine, StepOutcome


def machine(base=0.8, steps=10, **guard):
    """A guarded stage before one without a guard, the base model evaluated."""
    stages = [
        Stage(
            name="compression",
            objective=Compress(),
            steps=steps,
            guard=AccuracyGuard(max_drop=0.05, **guard),
        ),
        Stage(name="exploration", objective=Compress(), steps=3),
    ]
    m = StageMachine(stages)
    assert evaluate(m, base).kind == "stay"
    return m


def run(m, steps=1):
    for _ in range(steps):
        decision = m.observe(StepOutcome(m.current.label, m.global_step + 1))
    return decision


def evaluate(m, accuracy):
    return m.observe_evaluation(EvaluationOutcome(m.global_step, accuracy, (0.1, 0.9), 100.0))


def test_a_drop_of_the_accepted_size_is_accepted_and_a_larger_one_is_not():
    m = machine(base=0.8)
    run(m)
    assert evaluate(m, 0.75).kind == "stay"
    run(m)
    decision = evaluate(m, 0.7499)
    assert (decision.kind, decision.to, decision.cause) == (
        "advance",
        "exploration",
        "accuracy_guard",
    )
    assert decision.evidence["reference_accuracy"] == 0.8
    assert decision.evidence["drop"] == pytest.approx(0.0501)
    assert decision.evidence["best_step"] == 0
    assert json.loads(json.dumps(decision.__dict__)) == decision.__dict__


def test_leaving_keeps_the_weights():
    m = machine(action="leave")
    run(m)
    decision = evaluate(m, 0.1)
    assert (decision.kind, decision.rollback_to) == ("advance", None)
    assert m.rollback_steps == frozenset()


def test_a_rollback_goes_to_the_best_evaluation_of_the_stage_and_to_the_newest_of_equals():
    m = machine(base=0.8)
    for accuracy in (0.85, 0.9, 0.9, 0.88):
        run(m)
        assert evaluate(m, accuracy).kind == "stay"
    assert m.rollback_steps == {3}
    run(m)
    assert evaluate(m, 0.1).rollback_to == 3


def test_the_drop_may_be_measured_from_the_best_instead_of_the_base():
    for reference, kind in (("base", "stay"), ("best", "advance")):
        m = machine(base=0.8, reference=reference)
        run(m)
        evaluate(m, 0.95)
        run(m)
        assert evaluate(m, 0.85).kind == kind


def test_a_stage_undoes_its_own_work_only():
    """The base was better than what the second stage began with; it goes back to the latter."""
    guard = AccuracyGuard(max_drop=0.05)
    stages = [
        Stage(name="a", objective=Compress(), steps=2),
        Stage(name="b", objective=Compress(), steps=9, guard=guard),
    ]
    m = StageMachine(stages)
    evaluate(m, 0.9)
    run(m, 2)
    assert evaluate(m, 0.6).kind == "stay"  # the first stage has no guard
    run(m)
    decision = evaluate(m, 0.5)
    assert (decision.kind, decision.rollback_to) == ("finish", 2)


def test_the_evaluation_at_the_end_of_a_stage_can_take_the_stage_back():
    m = machine(steps=4)
    run(m, 2)
    evaluate(m, 0.9)
    assert run(m, 2).cause == "steps"
    assert m.rollback_steps == {2}
    decision = evaluate(m, 0.2)
    assert (decision.kind, decision.stage, decision.cause, decision.rollback_to) == (
        "stay",
        "compression",
        "accuracy_guard",
        2,
    )
    assert m.current.label == "exploration"
    assert evaluate(m, 0.9).rollback_to is None


def test_so_it_does_at_the_end_of_the_job():
    m = StageMachine([Stage(name="a", objective=Compress(), steps=2, guard=AccuracyGuard())])
    evaluate(m, 0.9)
    assert run(m, 2).kind == "finish"
    assert evaluate(m, 0.2).rollback_to == 0
    assert m.finished


def test_a_stage_is_rolled_back_once():
    m = machine()
    run(m)
    assert evaluate(m, 0.1).rollback_to == 0
    for _ in range(3):
        again = evaluate(m, 0.1)
        assert (again.kind, again.rollback_to) == ("stay", None)


def test_without_a_judged_answer_there_is_no_evidence():
    m = machine(base=None)
    run(m)
    assert evaluate(m, 0.0).kind == "stay"
    m = machine(base=0.8)
    run(m)
    assert evaluate(m, None).kind == "stay"


def test_a_request_that_waits_decides_where_a_tripped_guard_leads():
    stages = [Stage(name=n, objective=Compress(), steps=9, guard=AccuracyGuard()) for n in "abc"]
    m = StageMachine(stages)
    evaluate(m, 0.9)
    run(m)
    m.request("c")
    decision = evaluate(m, 0.1)
    assert (decision.to, decision.cause, decision.rollback_to) == ("c", "accuracy_guard", 0)
    assert decision.evidence["requested"] == "c"
    assert m.requested is None


def test_an_evaluation_of_another_step_is_refused():
    m = machine()
    run(m)
    with pytest.raises(ValueError, match="evaluation of step 0, the job is at step 1"):
        m.observe_evaluation(EvaluationOutcome(0, 0.5, (0.0, 1.0), 1.0))
