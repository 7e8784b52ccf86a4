"""What holds for every job, whatever its figures, evaluations and requests are."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.criteria import AccuracyGuard, ClipRatio, EntropyPlateau, LengthTarget
from algorithms.guard_watch import EvaluationOutcome
from algorithms.objectives import Compress
from algorithms.schedule import Cycles
from algorithms.stage import Stage
from algorithms.stage_machine import StageMachine, StepOutcome

criteria = st.one_of(
    st.builds(
        EntropyPlateau,
        slope=st.sampled_from([1e-3, 0.1]),
        window=st.integers(2, 3),
        smoothing=st.sampled_from([1, 3]),
        patience=st.integers(1, 2),
    ),
    st.builds(LengthTarget, tokens=st.sampled_from([20.0, 60.0]), window=st.integers(1, 3)),
    st.builds(LengthTarget, ratio=st.sampled_from([0.2, 0.6]), window=st.integers(1, 3)),
    st.builds(ClipRatio, at_most=st.sampled_from([0.0, 0.3]), window=st.integers(1, 3)),
    st.builds(ClipRatio, at_least=st.sampled_from([0.3, 0.9]), window=st.integers(1, 3)),
)
guards = st.builds(
    AccuracyGuard,
    max_drop=st.sampled_from([0.0, 0.1]),
    action=st.sampled_from(["leave", "rollback"]),
    reference=st.sampled_from(["base", "best"]),
)


@st.composite
def stages(draw):
    found = []
    for index in range(draw(st.integers(1, 3))):
        until = tuple(draw(st.lists(criteria, max_size=2)))
        steps = draw(st.integers(max([1, *(c.earliest for c in until)]), 8))
        guard = draw(st.none() | guards)
        found.append(
            Stage(name=f"s{index}", objective=Compress(), steps=steps, until=until, guard=guard)
        )
    return found


cycles = st.none() | st.builds(
    Cycles,
    max_cycles=st.integers(1, 3),
    length=st.none() | st.builds(LengthTarget, tokens=st.just(60.0), window=st.just(1)),
    token_budget=st.none() | st.integers(1, 60),
)
figure = st.none() | st.sampled_from([float("nan"), 0.0, 0.5, 1.0])
metrics = st.fixed_dictionaries(
    {},
    optional={
        "entropy_untempered": figure,
        "truncated_ratio": figure,
        "response_length_mean": st.none() | st.sampled_from([10.0, 50.0, 100.0]),
        "generated_tokens": st.none() | st.integers(0, 20),
    },
)
evaluations = st.none() | st.sampled_from([0.2, 0.5, 0.6, 0.9])


def restored(machine, plan):
    state = json.loads(json.dumps(machine.state_dict()))
    fresh = StageMachine(*plan)
    fresh.load_state_dict(state)
    return fresh


class Twins:
    """Two machines that hear the same; one is saved and restored whenever the test says so."""

    def __init__(self, plan, data):
        self.plan, self.data = plan, data
        self.straight, self.broken = StageMachine(*plan), StageMachine(*plan)
        self.decisions = []

    def tell(self, call):
        if self.data.draw(st.booleans()):
            self.broken = restored(self.broken, self.plan)
        decision = call(self.straight)
        assert call(self.broken) == decision
        assert self.broken.state_dict() == self.straight.state_dict()
        assert self.broken.gauges() == self.straight.gauges()
        if decision is not None:
            json.dumps(decision.__dict__, allow_nan=False)
            self.decisions.append(decision)
        return decision

    def evaluate(self):
        accuracy = self.data.draw(evaluations)
        step = self.straight.global_step
        return self.tell(
            lambda m: m.observe_evaluation(EvaluationOutcome(step, accuracy, (0.0, 1.0), 100.0))
        )

    def step(self):
        """One step, perhaps with a request before or instead of it, and an evaluation where a run
        makes one."""
        machine, waiting = self.straight, None
        ahead = sorted({o.stage.name for o in machine._schedule[machine._position + 1 :]})
        if ahead and self.data.draw(st.integers(0, 5)) == 0:
            to = self.data.draw(st.sampled_from(["next", *ahead]))
            waiting = machine.request(to)
            assert self.broken.request(to) == waiting
            if self.data.draw(st.booleans()):
                decision = self.tell(lambda m: m.apply_request())
                assert (decision.to, decision.cause) == (waiting, "manual")
                self.evaluate()
                return
        label, number = machine.current.label, machine.global_step + 1
        figures = self.data.draw(metrics)
        decision = self.tell(lambda m: m.observe(StepOutcome(label, number, figures)))
        if waiting is not None:
            assert (decision.to, decision.cause) == (waiting, "manual")
        if decision.kind != "stay" or self.data.draw(st.booleans()):
            self.evaluate()


@settings(max_examples=150)
@given(stages(), cycles, st.data())
def test_every_job_ends_in_order_and_goes_on_alike_from_any_saved_state(plan, repeat, data):
    run = Twins((plan, repeat), data)
    bound = run.straight.total_steps
    assert bound == sum(s.steps for s in plan) * (repeat.max_cycles if repeat else 1)
    order = [o.label for o in run.straight._schedule]
    run.evaluate()
    for _ in range(bound):
        if run.straight.finished:
            break
        run.step()
        assert run.straight.global_step <= run.straight.total_steps <= bound
    # Never stuck: the bound on steps is the bound on the job.
    assert run.straight.finished
    # No flapping: every stage is entered at most once, each later than the one before.
    entered = [order.index(d.to) for d in run.decisions if d.kind == "advance"]
    assert entered == sorted(set(entered))
    # A stage goes back to earlier weights at most once, and only its own guard can make it.
    back = Counter(d.stage for d in run.decisions if d.rollback_to is not None)
    assert all(times == 1 for times in back.values())
    assert all(d.cause == "accuracy_guard" for d in run.decisions if d.rollback_to is not None)
    # Every end has a cause, and nothing but the end of the job has no successor.
    assert all(d.cause for d in run.decisions if d.kind != "stay")
    assert [d.kind for d in run.decisions].count("finish") == 1


@given(stages(), st.data())
def test_a_rollback_asks_for_a_step_whose_checkpoint_was_to_be_kept(plan, data):
    machine = StageMachine(plan)
    machine.observe_evaluation(EvaluationOutcome(0, data.draw(evaluations), (0.0, 1.0), 100.0))
    while not machine.finished:
        machine.observe(StepOutcome(machine.current.label, machine.global_step + 1))
        kept, step = machine.rollback_steps, machine.global_step
        found = EvaluationOutcome(step, data.draw(evaluations), (0.0, 1.0), 100.0)
        decision = machine.observe_evaluation(found)
        if decision.rollback_to is not None:
            assert decision.rollback_to in kept
            assert decision.rollback_to < step
