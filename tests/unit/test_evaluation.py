"""What is asked, what is kept of each response, and which figures are made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from algorithms.bootstrap import cluster_interval
from algorithms.metrics import wilson_interval
from algorithms.trajectory import Judgement
from services.datasets import Question
from services.evaluation.answer_text import answer_text
from services.evaluation.figures import figures
from services.evaluation.plan import plan
from services.evaluation.progress import EvaluationProgress
from services.evaluation.response import cases_of, responses_of
from services.evaluation.response_file import (
    ResponseFileError,
    read_responses,
    write_responses,
)
from services.evaluation.training_record import save_evaluation, training_record
from services.rollout.request import Decoding
from services.verification.settle import settle
from services.verification.tolerance import Tolerance
from tests.unit.evaluated import group, response

DECODING = Decoding(temperature=0.6, top_p=0.95, max_tokens=64, group_size=2, logprobs=False)
QUESTIONS = [Question(id=f"q{i}", question="?", gold=("1",)) for i in range(5)]


def chunks(seed: int = 1, size: int = 4, questions: list[Question] = QUESTIONS):
    fresh = [replace(q) for q in questions]
    return plan(fresh, DECODING, suffix=" suffix", seed=seed, chunk_responses=size)


def test_a_failed_verifier_is_not_a_wrong_answer() -> None:
    found = figures(
        [
            response("a", 0, response_tokens=10),
            response("a", 1, response_tokens=20, verdict="incorrect"),
            response("b", 0, response_tokens=30, verdict="timeout"),
            response("b", 1, response_tokens=40, verdict="error"),
            response("c", 0, response_tokens=50),
            response("c", 1, response_tokens=90, verdict="unparsable", finish_reason="length"),
        ],
        seed=0,
        length="response_tokens",
    )
    assert found["accuracy"] == pytest.approx(2 / 4)
    assert (found["unverified"], found["samples"]) == (2, 2)
    assert found["verdicts"] == {
        "correct": 2,
        "incorrect": 1,
        "unparsable": 1,
        "timeout": 1,
        "error": 1,
    }
    assert found["length_mean"] == pytest.approx(40)
    assert found["length_median"] == pytest.approx(35)
    assert found["truncated_ratio"] == pytest.approx(1 / 6)


def test_one_response_a_question_has_a_wilson_interval() -> None:
    answers = [response(f"q{i}", verdict="correct" if i < 3 else "incorrect") for i in range(8)]
    found = figures([*answers, response("lost", verdict="timeout")], 0, "response_tokens")
    assert found["accuracy"] == pytest.approx(3 / 8)
    assert found["accuracy_interval"] == "wilson"
    assert found["accuracy_ci95"] == list(wilson_interval(3, 8))
    assert found["pass_at_k"] == {}


def test_several_responses_a_question_have_an_interval_over_questions() -> None:
    right = [3, 0, 1, 3, 2]
    answers = [
        response(f"q{q}", s, verdict="correct" if s < c else "incorrect")
        for q, c in enumerate(right)
        for s in range(3)
    ]
    found = figures(answers, 5, "response_tokens")
    assert found["accuracy"] == pytest.approx(9 / 15)
    assert found["accuracy_interval"] == "bootstrap"
    assert found["accuracy_ci95"] == list(cluster_interval([c / 3 for c in right], 5))
    # 1 - C(3 - c, 2) / C(3, 2): 1, 0, 2/3, 1, 1.
    assert found["pass_at_k"]["2"]["value"] == pytest.approx((1 + 0 + 2 / 3 + 1 + 1) / 5)
    assert found["pass_at_k"]["3"]["value"] == pytest.approx(4 / 5)
    assert list(found["pass_at_k"]) == ["2", "3"]


def test_pass_at_k_needs_k_verdicts() -> None:
    answers = [response("a", 0), response("a", 1), response("b", 0), response("b", 1)]
    answers[3] = response("b", 1, verdict="timeout")
    found = figures(answers, 0, "response_tokens")
    assert found["pass_at_k"]["2"]["questions"] == 1


def test_both_lengths_are_kept_and_one_is_the_length() -> None:
    answers = [response("a", response_tokens=4, thinkless_tokens=9)]
    assert figures(answers, 0, "response_tokens")["length_mean"] == 4
    parity = figures(answers, 0, "thinkless_tokens")
    assert (parity["length_mean"], parity["response_tokens_mean"]) == (9, 4)
    assert parity["length"] == "thinkless_tokens"


def test_a_right_box_in_a_truncated_response_is_not_a_correct_answer() -> None:
    (chunk,) = chunks(questions=QUESTIONS[:1])
    right = [Judgement("correct", "equal", well_formed=True)] * 2
    cut = [group("q0", (2, 3), ("stop", "length"))]
    strict = responses_of(chunk, cut, right, [7, 8], "eval")
    assert [r.correct for r in strict] == [True, False]
    lenient = responses_of(chunk, cut, right, [7, 8], "thinkless-parity")
    assert [r.correct for r in lenient] == [True, True]


def test_responses_go_with_their_verdicts_and_counts() -> None:
    first, *_ = chunks(size=4)
    verdicts = [Judgement(v, v, well_formed=True) for v in ("correct", "error")]
    found = responses_of(
        first, [group("q0", (1, 2)), group("q1", (3, 40))], verdicts * 2, [5, 6, 7, 8], "eval"
    )
    assert [(r.question_id, r.sample) for r in found] == [
        ("q0", 0),
        ("q0", 1),
        ("q1", 0),
        ("q1", 1),
    ]
    assert [r.verdict for r in found] == ["correct", "error"] * 2
    assert [r.response_tokens for r in found] == [1, 2, 3, 40]
    assert [r.thinkless_tokens for r in found] == [5, 6, 7, 8]
    assert len({r.token_digest for r in found}) == 4
    assert {r.seed for r in found} == {r.seed for r in first.requests}


def test_a_model_that_does_not_think_needs_no_end_of_its_thought() -> None:
    text = "Adding both gives 12.\n\nThe final answer is 12."
    assert settle(("12",), answer_text(text, "eval", opened=False), "eval").verdict == "correct"
    # A thought that was opened and not closed holds no answer, wherever it was opened.
    for unfinished, opened in [(text, True), (f"<think>{text}", False)]:
        graded = answer_text(unfinished, "eval", opened=opened)
        assert graded == unfinished
        assert settle(("12",), graded, "eval").verdict == "unparsable"
    # Training stays strict.
    strict = answer_text("\\boxed{12}", "reward", opened=False)
    assert settle(("12",), strict, "reward").verdict == "unparsable"
    closed = "Hm.</think>The final answer is 12."
    assert answer_text(closed, "eval", opened=False) == closed


def test_an_answer_within_the_tolerance_of_its_question_is_right() -> None:
    near = replace(QUESTIONS[0], tolerance=Tolerance(absolute=0.1))
    (chunk,) = chunks(questions=[near, QUESTIONS[1]])
    assert [r.tolerance for r in chunk.requests] == [near.tolerance, None]
    drawn = [replace(group(q, (1,)), texts=("so \\boxed{1.05}",)) for q in ("q0", "q1")]
    cases = cases_of(chunk, drawn, "eval", opened=False)
    assert [settle(*c).verdict for c in cases] == ["correct", "incorrect"]


def test_every_model_is_asked_with_the_same_seeds() -> None:
    first, again, other = chunks(), chunks(), chunks(seed=2)
    assert first == again
    assert [len(c.questions) for c in first] == [2, 2, 1]
    seeds = {r.seed for c in first for r in c.requests}
    assert len(seeds) == 5
    assert seeds.isdisjoint(r.seed for c in other for r in c.requests)
    assert first[0].requests[0].prompt == "? suffix"
    # Neither the size of chunks nor what else is asked changes a question's seed.
    (fewer,) = chunks(size=100, questions=QUESTIONS[3:])
    assert {r.seed for r in fewer.requests} <= seeds


def test_a_question_is_never_split() -> None:
    assert [len(c.questions) for c in chunks(size=1)] == [1] * 5


def test_responses_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    kept = [
        response("a", gold=("1", "\\frac{1}{2}"), text="π \ud7ff\n</think>", seconds=0.25),
        response("b", verdict="timeout", reason="wall_clock", finish_reason="length"),
    ]
    path = tmp_path / "x" / "kept.parquet"
    write_responses(path, kept, {"seconds": 1.5})
    assert read_responses(path) == (kept, {"seconds": 1.5})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResponseFileError, match=r"kept\.parquet cannot be read"):
        read_responses(path)


def test_a_training_evaluation_is_kept_whole_beside_its_responses(tmp_path: Path) -> None:
    answers = [response("a", text="yes"), response("b", verdict="incorrect", response_tokens=30)]
    record = training_record("base", 3, 2, 1.5, answers, seed=0)
    path = save_evaluation(tmp_path, record, answers)
    assert path.name == "base.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.json", "base.parquet"]
    read = json.loads(path.read_text())
    assert (read["step"], read["policy_version"], read["seconds"]) == (3, 2, 1.5)
    assert (read["accuracy"], read["length_mean"], read["samples"]) == (0.5, 20, 1)
    assert read["records"][0]["responses"][0] == {
        "text": "yes",
        "tokens": 10,
        "verdict": "correct",
        "correct": True,
        "reason": "equal",
        "finish_reason": "stop",
    }
    assert read_responses(tmp_path / "base.parquet")[0] == answers


def test_progress_counts_what_was_there_but_not_for_speed() -> None:
    progress = EvaluationProgress(questions_total=4)
    assert progress.as_json()["eta_seconds"] is None
    progress.found([response("a", response_tokens=1000)])
    assert progress.as_json()["tokens_per_second"] is None
    progress.drawn([response("b", verdict="incorrect", response_tokens=50)], seconds=5)
    now = progress.as_json()
    assert (now["questions_done"], now["responses_done"]) == (2, 2)
    assert (now["accuracy"], now["tokens_per_second"], now["eta_seconds"]) == (0.5, 10, 10)
    progress.begin_benchmark()
    assert progress.as_json()["accuracy"] is None


def test_evaluations_in_the_middle_of_a_stage_are_all_kept(tmp_path: Path) -> None:
    for step in (20, 40):
        record = training_record("explore.midway", step, step, 1.5, [response("a")], seed=0)
        save_evaluation(tmp_path, record, [response("a")])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"explore.midway-{step}.{kind}" for step in (20, 40) for kind in ("json", "parquet")
    ]
