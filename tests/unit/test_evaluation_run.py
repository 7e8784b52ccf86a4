"""An evaluation killed anywhere and taken up again ends as the undisturbed one does.

What answers is a stand-in: a response is a function of its seed, as it is with the engine. The
real parts have their tests in the other layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.evaluation_run import EvaluationRun
from services.datasets import DataSet, Question
from services.evaluation.plan import Chunk
from services.evaluation.question_set import QuestionSet
from services.evaluation.response import Response
from services.evaluation.response_file import read_responses
from services.evaluation.result_folder import EvaluationChanged, ResultFolder
from services.spec.evaluation_job import EvaluationJobSpec
from tests.unit.evaluated import response


class Killed(Exception):
    """The process ends here."""


SPEC = EvaluationJobSpec.model_validate(
    {
        "model": {"path": "m"},
        "benchmarks": [{"path": "one.jsonl"}, {"path": "two.jsonl", "samples": 3}],
        "samples": 2,
        "chunk_responses": 6,
    }
).resolved()


class World:
    """What outlives an attempt (the folder), and what an attempt talks to."""

    def __init__(self, folder: Path) -> None:
        self.folder = ResultFolder(folder)
        self.asked: list[str] = []
        self.told: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.written: list[dict[str, Any]] = []
        self.moves, self.killed_at = 0, -1

    def move(self) -> None:
        self.moves += 1
        if self.moves == self.killed_at:
            raise Killed

    def answer(self, chunk: Chunk) -> list[Response]:
        self.move()
        self.asked += [q.id for q in chunk.questions]
        return [
            response(
                q.id,
                sample,
                seed=r.seed,
                response_tokens=r.seed % 97 + sample,
                verdict="correct" if r.seed % 2 else "incorrect",
            )
            for q, r in zip(chunk.questions, chunk.requests, strict=True)
            for sample in range(chunk.decoding.group_size)
        ]

    def progress(self, progress: dict[str, Any]) -> None:
        self.move()
        self.told.append(progress)

    def poll_commands(self) -> None:
        self.move()

    def event(self, kind: str, _message: str, data: dict[str, Any]) -> None:
        self.move()
        self.events.append({"kind": kind, **data})

    def conclude(self, done: Any) -> None:
        self.move()
        self.written.append({name: dict(found) for name, found in done.items()})

    def attempt(self) -> None:
        sets = [
            QuestionSet(
                name,
                DataSet(
                    f"{name}.jsonl",
                    [Question(f"{name}-{i}", "?", ("1",)) for i in range(7)],
                    source=f"{name}.jsonl",
                    sha256="0",
                ),
                None,
            )
            for name in ("one", "two")
        ]
        EvaluationRun(SPEC, sets, self.folder, self, lambda: self.answer).run(self.conclude)

    def result(self) -> Any:
        """Everything but what the clock says."""
        apart = {"seconds", "tokens_per_second"}
        figures = {
            name: {k: v for k, v in found.items() if k not in apart}
            for name, found in self.written[-1].items()
        }
        return figures, [read_responses(self.folder.responses(n))[0] for n in ("one", "two")]


def test_every_question_is_asked_once_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.attempt()
    assert len(world.asked) == len(set(world.asked)) == 14
    assert [e["label"] for e in world.events] == ["one", "two"]
    assert [len(w) for w in world.written] == [1, 2]
    assert [w["questions_done"] for w in world.told] == [3, 6, 7, 9, 11, 13, 14]
    assert [w["benchmark"] for w in world.told] == ["one"] * 3 + ["two"] * 4
    assert (world.written[-1]["two"]["samples"], world.written[-1]["two"]["responses"]) == (3, 21)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.parquet", "two.parquet"]


def test_an_evaluation_killed_at_any_point_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = World(tmp_path / "undisturbed")
    undisturbed.attempt()
    assert undisturbed.moves > 20
    for point in range(1, undisturbed.moves + 1):
        world = World(tmp_path / f"killed-{point}")
        world.killed_at = point
        with pytest.raises(Killed):
            world.attempt()
        first = list(world.asked)
        world.attempt()
        assert world.result() == undisturbed.result()
        # Only a chunk that was under way is asked again; here it was killed before it was.
        assert sorted(world.asked) == sorted(undisturbed.asked), (point, first)


def test_finished_chunks_are_not_mixed_with_those_of_another_model(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin({"model m": "a", "benchmark b": "b"})
    folder.begin({"model m": "a", "benchmark b": "b"})
    with pytest.raises(EvaluationChanged, match="model m changed"):
        folder.begin({"model m": "c", "benchmark b": "b"})
