"""Which questions are bad, by verdicts on their accepted answers."""

from __future__ import annotations

import pytest

from algorithms.trajectory import Judgement
from services.gold_check import check_golds, listing
from services.question import Question


def check(golds, verdict="correct"):
    """Check questions, where answers that need algebra get a verdict."""
    asked = []

    def judge(items):
        asked.extend(items)
        return [Judgement(verdict, "why", True) for _ in items]

    questions = [Question(f"q{i}", "?", tuple(g)) for i, g in enumerate(golds)]
    found = check_golds(questions, judge)
    return [b.question_id for b in found.bad], found.undecided, len(asked)


def test_numbers_need_no_judge():
    assert check([["42"], ["\\frac{1}{2}"], ["(3, 4]"]], "incorrect") == ([], 0, 0)


@pytest.mark.parametrize(
    ("verdict", "bad", "undecided"),
    [
        ("correct", [], 0),
        ("incorrect", ["q0"], 0),
        ("unparsable", ["q0"], 0),
        ("timeout", [], 1),
        ("error", [], 1),
    ],
)
def test_a_verifier_that_fails_says_nothing_about_the_answer(verdict, bad, undecided):
    assert check([["x + 1"]], verdict) == (bad, undecided, 1)


def test_what_cannot_be_read_is_bad_without_a_judge():
    assert check([["x +"], ["7"]]) == (["q0"], 0, 0)


def test_one_good_answer_is_enough():
    assert check([["x +", "7"], ["x +", "\\frac{1"]]) == (["q1"], 0, 0)
    assert check([["x +", "x + 1"]], "timeout") == ([], 1, 1)


def test_a_listing_names_answer_and_reason():
    found = check_golds([Question("a", "?", ("x +",))], lambda items: [])
    assert listing(found.bad) == "'a' ('x +': string_only)"
