"""Evaluation figures: what counts, what does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from algorithms.trajectory import Judgement, TrajectoryGroup
from services.datasets import Question
from services.evaluation import (
    evaluation_requests,
    question_records,
    save_evaluation,
    summarise,
)
from services.spec.job import EvaluationSpec


def record(*responses: tuple[str, int, str]) -> dict[str, object]:
    rows = [
        {
            "text": "",
            "tokens": t,
            "verdict": v,
            "correct": v == "correct" and f == "stop",
            "reason": "",
            "finish_reason": f,
        }
        for v, t, f in responses
    ]
    return {"id": "q", "question": "?", "gold": ["1"], "responses": rows}


def test_a_failed_verifier_is_not_a_wrong_answer() -> None:
    found = summarise(
        "base",
        0,
        0,
        1.0,
        [
            record(("correct", 10, "stop"), ("incorrect", 20, "stop")),
            record(("timeout", 30, "stop"), ("error", 40, "stop")),
            record(("correct", 50, "stop"), ("unparsable", 90, "length")),
        ],
    )
    assert found["accuracy"] == pytest.approx(2 / 4)
    assert found["unverified"] == 2
    assert found["length_mean"] == pytest.approx(40)
    assert found["length_median"] == pytest.approx(35)
    assert found["truncated_ratio"] == pytest.approx(1 / 6)
    low, high = found["accuracy_ci95"]
    assert 0 < low < 0.5 < high < 1


def test_a_right_box_in_a_truncated_response_is_not_a_correct_answer() -> None:
    group = TrajectoryGroup(
        group_id="evaluation/q",
        question_id="q",
        gold=("1",),
        prompt_ids=np.zeros(1, np.int32),
        response_ids=np.zeros(4, np.int32),
        behaviour_logprobs=np.zeros(0, np.float32),
        offsets=np.array([0, 2, 4]),
        think_lengths=np.array([1, 2]),
        finish_reasons=("stop", "length"),
        texts=("a", "b"),
        policy_version=0,
        temperature=0.6,
    )
    right = Judgement("correct", "equal", well_formed=True)
    kept = question_records(group, "?", [right, right])
    assert [r["correct"] for r in kept["responses"]] == [True, False]
    assert summarise("base", 0, 0, 1.0, [kept])["accuracy"] == 0.5


def test_every_checkpoint_is_asked_with_the_same_seeds() -> None:
    spec = EvaluationSpec(path="x", questions=3)
    questions = [Question(id=f"q{i}", question="?", gold=("1",)) for i in range(5)]
    first, decoding = evaluation_requests(spec, questions, " suffix", 1)
    again, _ = evaluation_requests(spec, questions, " suffix", 1)
    other, _ = evaluation_requests(spec, questions, " suffix", 2)
    assert first == again
    assert [r.question_id for r in first] == ["q0", "q1", "q2"]
    assert {r.seed for r in first}.isdisjoint(r.seed for r in other)
    assert first[0].prompt == "? suffix"
    assert (decoding.temperature, decoding.top_p) == (0.6, 0.95)


def test_a_saved_evaluation_is_whole(tmp_path: Path) -> None:
    path = save_evaluation(tmp_path, {"label": "base", "accuracy": 1.0})
    assert path.name == "base.json"
    assert json.loads(path.read_text())["accuracy"] == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["base.json"]
