"""The order in which a run evaluates, checkpoints, decides and goes back, and that a run which is
killed anywhere ends as the undisturbed one does.

Learners, generators and the queue are stand-ins: a policy is the list of the steps it was trained
on, and its accuracy is a function of it. The real parts have their tests in the other layers.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.training_run import TrainingRun
from algorithms.stage_machine import StepOutcome
from services.checkpoints import CheckpointStore
from services.datasets import Question
from services.home import JobFolder
from services.prompt_stream import PromptStream
from services.spec.job import JobSpec
from services.storage_full import StorageFull
from services.verification.tolerance import Tolerance

GUARD = {"max_drop": 0.05}


class Killed(Exception):
    """The process ends here."""


class World:
    """What outlives an attempt (the folder), and what an attempt talks to."""

    def __init__(self, folder: Path, spec: JobSpec, accuracy: dict[str, float]) -> None:
        self.paths, self.spec, self.accuracy = JobFolder(folder), spec, accuracy
        self.policy: list[int] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.moves, self.killed_at = 0, -1
        self.run_class: type[Run] = Run

    def move(self) -> None:
        """Count a point at which the process may be killed."""
        self.moves += 1
        if self.moves == self.killed_at:
            raise Killed

    def attempt(self) -> TrainingRun:
        waiter = SimpleNamespace(one=lambda ref, *_: ref, all=lambda refs, *_: refs)
        replay = SimpleNamespace(
            state_dict=remote({}), load_state_dict=remote(()), set_version=remote(None)
        )
        roles = SimpleNamespace(replay=replay, generators={})
        journal = SimpleNamespace(
            event=lambda kind, _message, data, *_: self.events.append((kind, data)),
            progress=lambda _: None,
            poll_commands=lambda: None,
            position=lambda: {"attempt": 1, "number": 0, "command": 0},
            saved=lambda _: None,
        )
        questions = [Question("q", "?", ("1",))]
        run = self.run_class(
            "job", self.spec, self.paths, roles, waiter, journal, questions, questions
        )
        run.world = self
        run.evaluator = SimpleNamespace(run=self.evaluate)
        run.learners.do = self.learn
        found, _ = CheckpointStore(self.paths.checkpoints).latest()
        self.policy = []
        if found is not None:
            self.policy = json.loads((found.model / "weights").read_text())
            run.restore(found)
        run.run(resumed=found is not None)
        return run

    def evaluate(self, label: str, step: int, version: int) -> dict[str, Any]:
        self.move()
        accuracy = self.accuracy.get(",".join(map(str, self.policy)), 0.8)
        return {
            "label": label,
            "step": step,
            "accuracy": accuracy,
            "accuracy_ci95": [0.0, 1.0],
            "length_mean": 100.0,
        }

    def learn(self, item: dict[str, Any], _what: str) -> dict[str, Any]:
        self.move()
        if item["kind"] == "checkpoint":
            (Path(item["folder"]) / "model").mkdir()
            (Path(item["folder"]) / "model" / "weights").write_text(json.dumps(self.policy))
        if item["kind"] == "load":
            self.policy = json.loads((Path(item["folder"]) / "model" / "weights").read_text())
        return {}

    def model(self, label: str) -> list[int]:
        policy: list[int] = json.loads((self.paths.model(label) / "weights").read_text())
        return policy

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for found, data in self.events if found == kind]


class Run(TrainingRun):
    """A run whose steps only add themselves to the policy."""

    def _step(self):
        self.world.move()
        label, step = self.machine.current.label, self.machine.global_step + 1
        self.world.policy.append(step)
        self._uncheckpointed += 1
        self._set_version(self.version + 1)
        self._optimizer_stage = label
        return self.machine.observe(StepOutcome(label, step))


def remote(value: object) -> SimpleNamespace:
    return SimpleNamespace(remote=lambda *_: value)


def spec(
    steps: tuple[int, ...] = (6, 2),
    guard: Any = GUARD,
    guarded: str = "compression",
    **fields: Any,
) -> JobSpec:
    stages = [
        {
            "name": name,
            "objective": {"type": "compress"},
            "steps": n,
            "guard": guard if name == guarded else None,
        }
        for name, n in zip(("compression", "exploration"), steps, strict=True)
    ]
    return JobSpec.model_validate(
        {
            "model": {"path": "m"},
            "data": {"path": "d"},
            "evaluation": {"path": "e", "every_steps": 2},
            "checkpoint": {"every_steps": 3, "keep": 1},
            "stages": stages,
            **fields,
        }
    )


def test_a_guard_brings_back_the_best_weights_and_the_count_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, spec(), {"1,2": 0.9, "1,2,3,4": 0.3})
    run = world.attempt()
    assert world.policy == [1, 2, 5, 6]
    assert world.model("compression") == [1, 2]
    assert run.version == 7  # six steps and one return
    (back,) = world.told("rollback")
    assert (back["step"], back["cause"]) == (2, "accuracy_guard")
    assert back["evidence"]["accuracy"] == 0.3
    ends = [(e["from"], e["to"], e["cause"]) for e in world.told("stage")]
    assert ends == [
        ("compression", "exploration", "accuracy_guard"),
        ("exploration", None, "steps"),
    ]
    labels = [e["label"] for e in world.told("evaluation")]
    assert labels == [
        "base",
        *["compression.midway"] * 2,
        "compression",
        "exploration",
    ]


def test_the_end_of_a_stage_is_taken_back_too(tmp_path: Path) -> None:
    world = World(tmp_path, spec((4, 1)), {"1,2": 0.9, "1,2,3,4": 0.3})
    world.attempt()
    assert world.model("compression") == [1, 2]
    assert world.policy == [1, 2, 5]
    assert [e["cause"] for e in world.told("stage")] == ["steps", "steps"]
    assert [e["step"] for e in world.told("rollback")] == [2]


def test_leaving_keeps_the_weights(tmp_path: Path) -> None:
    world = World(tmp_path, spec(guard={**GUARD, "action": "leave"}), {"1,2": 0.3})
    world.attempt()
    assert world.policy == [1, 2, 3, 4]
    assert world.told("rollback") == []


def test_a_checkpoint_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    world = World(tmp_path, spec(), {"1,2": 0.9, "1,2,3,4": 0.3})
    evaluate = world.evaluate

    def lose_the_best(label: str, step: int, version: int) -> dict[str, Any]:
        if step == 4:
            (world.paths.checkpoints / "step-000002" / "manifest.json").unlink(missing_ok=True)
        return evaluate(label, step, version)

    world.evaluate = lose_the_best
    world.attempt()
    assert world.policy == [1, 2, 3, 4, 5, 6]
    (skipped,) = world.told("rollback_skipped")
    assert skipped["step"] == 2


def test_cycles_keep_what_each_stage_left(tmp_path: Path) -> None:
    world = World(tmp_path, spec((1, 1), guard=None, cycles={"max_cycles": 2}), {})
    world.attempt()
    assert world.model("compression") == [1]
    assert world.model("compression.2") == [1, 2, 3]
    assert world.model("exploration.2") == world.policy == [1, 2, 3, 4]


JOBS = {
    "guard trips within the stage": (spec(), {"1,2": 0.9, "1,2,3,4": 0.3}),
    "guard trips at the end": (spec((4, 2)), {"1,2": 0.9, "1,2,3,4": 0.3}),
    "guard trips at the end of the job": (
        spec((1, 4), guarded="exploration"),
        {"1,2,3,4": 0.85, "1,2,3,4,5": 0.1},
    ),
    "guard trips in the second cycle": (spec((2, 1), cycles={"max_cycles": 3}), {"1,2,3,4": 0.1}),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_run_killed_at_any_point_ends_as_the_undisturbed_one(tmp_path: Path, name: str) -> None:
    job, accuracy = JOBS[name]
    undisturbed = World(tmp_path / "undisturbed", job, accuracy)
    version = undisturbed.attempt().version
    assert undisturbed.moves > 10
    for point in range(1, undisturbed.moves + 1):
        world = World(tmp_path / f"killed-{point}", job, accuracy)
        world.killed_at = point
        with pytest.raises(Killed):
            world.attempt()
        assert world.attempt().version == version
        assert world.policy == undisturbed.policy
        labels = [o.label for o in job.schedule]
        assert [world.model(x) for x in labels] == [undisturbed.model(x) for x in labels]


def test_the_tolerance_of_a_question_travels_with_it(tmp_path: Path) -> None:
    run = World(tmp_path, spec(), {}).attempt()
    near = Question("near", "?", ("1",), Tolerance(absolute=0.1))
    run.stream = PromptStream([near], 0)
    requests = run._requests(run.spec.schedule[0], 1)
    assert {r.tolerance for r in requests} == {near.tolerance}


@pytest.mark.parametrize(("guard", "moment"), [(None, "beside a step"), (GUARD, "between steps")])
def test_only_a_guard_has_the_next_step_wait_for_an_evaluation(
    tmp_path: Path, guard: Any, moment: str
) -> None:
    world = World(tmp_path, spec(guard=guard, steps=(3, 1)), {})
    found: list[tuple[str, int, int, str]] = []
    inside: list[bool] = []

    def evaluate(label: str, step: int, version: int) -> dict[str, Any]:
        found.append((label, step, version, "beside a step" if inside else "between steps"))
        return World.evaluate(world, label, step, version)

    def train(item: dict[str, Any], _what: str, beside: Any = None) -> dict[str, Any]:
        inside.append(True)
        if beside:
            beside()
        inside.clear()
        return {"held_up_seconds": 0.0}

    class Training(Run):
        def _step(self) -> Any:
            self.learners.train = train
            label, step = self.machine.current.label, self.machine.global_step + 1
            self._train(self.machine.current, step, [])
            return self.machine.observe(StepOutcome(label, step))

    world.evaluate = evaluate  # type: ignore[method-assign]
    world.run_class = Training
    world.attempt()
    assert found == [
        ("base", 0, 0, "between steps"),
        ("compression.midway", 2, 2, moment),
        ("compression", 3, 3, "between steps"),
        ("exploration", 4, 4, "between steps"),
    ]


@pytest.mark.parametrize("place", ["the learners", "the driver"])
def test_a_checkpoint_without_room_leaves_the_last_one_and_the_run_goes_on_from_it(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised by hand at the seam where the system reports it."""
    undisturbed = World(tmp_path / "undisturbed", spec(guard=None), {})
    undisturbed.attempt()
    world = World(tmp_path / "full", spec(guard=None), {})
    seal, learn = CheckpointStore.seal, world.learn

    def full_at_learners(item: dict[str, Any], what: str) -> dict[str, Any]:
        if item["kind"] == "checkpoint" and item["folder"].endswith("000006"):
            (Path(item["folder"]) / "half").write_text("of it")
            raise StorageFull("RuntimeError: unexpected pos 576 vs 534")
        return learn(item, what)

    def full_at_driver(self: CheckpointStore, folder: Path, step: int, state: Any) -> Any:
        if step == 6:
            raise OSError(28, "No space left on device")
        return seal(self, folder, step, state)

    if place == "the learners":
        monkeypatch.setattr(world, "learn", full_at_learners)
    else:
        monkeypatch.setattr(CheckpointStore, "seal", full_at_driver)
    with pytest.raises(StorageFull, match="checkpoint of step 6"):
        world.attempt()
    found, problems = CheckpointStore(world.paths.checkpoints).latest()
    assert found is not None
    assert (found.step, problems) == (3, [])
    assert [p.name for p in world.paths.checkpoints.iterdir()] == ["step-000003"]
    monkeypatch.undo()
    world.attempt()
    assert world.policy == undisturbed.policy
