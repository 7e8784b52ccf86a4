"""The arithmetic of a report on evaluations small enough to check by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from algorithms.metrics import wilson_interval
from services.reports.comparison import compare, transitions
from services.reports.connectors import count_connectors, split_connectors
from services.reports.examples import choose_examples


def response(tokens: int, verdict: str = "correct", text: str = "1+1=2") -> dict[str, Any]:
    return {
        "text": text,
        "tokens": tokens,
        "verdict": verdict,
        "correct": verdict == "correct",
        "reason": "equal",
        "finish_reason": "stop",
    }


def evaluation(label: str, answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    lengths = sorted(a["tokens"] for a in answers.values())
    correct = sum(a["verdict"] == "correct" for a in answers.values())
    return {
        "label": label,
        "step": 0,
        "policy_version": 0,
        "questions": len(answers),
        "samples": 1,
        "accuracy": correct / len(answers),
        "accuracy_ci95": list(wilson_interval(correct, len(answers))),
        "length_mean": sum(lengths) / len(lengths),
        "length_median": lengths[len(lengths) // 2],
        "unverified": 0,
        "truncated_ratio": 0.0,
        "seconds": 1.0,
        "records": [
            {"id": name, "question": f"What is {name}?", "gold": ["2"], "responses": [answer]}
            for name, answer in answers.items()
        ],
    }


BASE = evaluation(
    "base",
    {
        "a": response(400),
        "b": response(300),
        "c": response(200, "incorrect"),
        "d": response(100),
        "e": response(500, "incorrect"),
        "f": response(300, "incorrect"),
    },
)
AFTER = evaluation(
    "compression",
    {
        "a": response(100),
        "b": response(60),
        "c": response(50),
        "d": response(40, "unparsable"),
        "e": response(125, "incorrect"),
        "f": response(75),
    },
)


def test_ratio_and_l_acc_are_relative_to_the_base() -> None:
    figures = compare(AFTER, BASE)
    assert figures.length_ratio == pytest.approx(75 / 300)
    assert figures.l_acc == pytest.approx(4 / 6 * math.sqrt(1 - 0.25))
    assert figures.accuracy_ci95 == wilson_interval(4, 6)


def test_the_base_is_its_own_reference() -> None:
    figures = compare(BASE, BASE)
    assert figures.length_ratio == 1.0
    assert figures.l_acc == 0.0
    assert figures.against_base is None


def test_without_a_base_nothing_relative_is_claimed() -> None:
    figures = compare(AFTER, None)
    assert (figures.length_ratio, figures.l_acc, figures.against_base) == (None, None, None)


def test_longer_responses_have_no_l_acc() -> None:
    assert compare(BASE, AFTER).l_acc == 0.0
    assert compare(BASE, AFTER).length_ratio == pytest.approx(4.0)


def test_an_evaluation_the_verifier_never_judged_has_no_accuracy() -> None:
    unjudged = {**AFTER, "accuracy": None, "accuracy_ci95": [0.0, 1.0]}
    figures = compare(unjudged, BASE)
    assert figures.accuracy is None
    assert figures.l_acc is None
    assert figures.length_ratio == pytest.approx(0.25)


def test_transitions_tell_lost_from_gained() -> None:
    moved = transitions(BASE, AFTER)
    assert (moved.preserved, moved.lost, moved.gained, moved.failed) == (2, 1, 2, 1)
    assert moved.mcnemar_p == pytest.approx(1.0)


def test_a_verifier_failure_is_no_transition() -> None:
    failed = evaluation("compression", {"a": response(10, "timeout"), "b": response(10)})
    moved = transitions(BASE, failed)
    assert (moved.preserved, moved.lost) == (1, 0)


def test_connectors_are_capitalised_words() -> None:
    text = "Wait, let me check. await Waiting wait\nHmm. Therefore Thus\nAlternatively, no"
    assert count_connectors(text) == 5
    assert "".join(piece for piece, _ in split_connectors(text)) == text
    assert [p for p, connector in split_connectors(text) if connector] == [
        "Wait",
        "Hmm",
        "Therefore",
        "Thus",
        "Alternatively",
    ]


def test_connectors_are_counted_per_response() -> None:
    texts = evaluation("base", {"a": response(3, text="Wait Wait"), "b": response(3, text="2")})
    assert compare(texts, None).connectors_mean == pytest.approx(1.0)


def test_examples_are_the_largest_savings_and_one_gained() -> None:
    chosen = choose_examples(BASE, AFTER)
    assert [(e.question_id, e.outcome) for e in chosen] == [
        ("a", "kept"),
        ("b", "kept"),
        ("f", "gained"),
    ]
    assert chosen[0].tokens_saved == 300


def test_lost_answers_fill_up_where_good_ones_are_missing() -> None:
    before = evaluation("base", {"x": response(90), "y": response(80, "incorrect")})
    after = evaluation("compression", {"x": response(9, "incorrect"), "y": response(8, "error")})
    assert [(e.question_id, e.outcome) for e in choose_examples(before, after)] == [
        ("x", "lost"),
        ("y", "failed"),
    ]
