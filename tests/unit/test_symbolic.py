"""The decision of a worker: verdicts and reasons, in this process."""

from __future__ import annotations

import pytest

from services.verification.symbolic import Finding, decide
from services.verification.tolerance import Tolerance


@pytest.mark.parametrize(
    ("gold", "answer", "finding"),
    [
        ("x+1", "1+x", Finding("correct", "equal")),
        ("x+1", "2+x", Finding("incorrect", "different")),
        (r"\sqrt{2}", "x", Finding("incorrect", "undefined_symbol")),
        (r"\sqrt{2}", "x - x + \\sqrt{2}", Finding("incorrect", "undefined_symbol")),
        ("x+1", r"\foo", Finding("unparsable", "not_mathematics")),
        ("x+1", "5 7", Finding("unparsable", "not_mathematics")),
        ("x^{4000}", "x^{4999} x^{4999} x^{4999}", Finding("incorrect", "different")),
        (r"\sqrt{x-999}", "(x-999)^{1/2}", Finding("unparsable", "unsupported:magnitude")),
        ("(0,1]", "|" * 1999, Finding("unparsable", "unsupported:length")),
        (r"\foo", "x", Finding("error", "gold_not_mathematics")),
        ("x^{9999}", "x+1", Finding("error", "unsupported:gold")),
        (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}", Finding("correct", "equal")),
        (r"\sum_{k=1}^{n} k", r"\frac{n(n-1)}{2}", Finding("incorrect", "different")),
        ("(-2,2)", "|x| < 2", Finding("correct", "equal")),
        ("(-2,2)", "|x| < 3", Finding("incorrect", "different")),
        ("xy = 1", r"y = \frac{1}{x}", Finding("correct", "equal")),
        ("9", "x = 5 + 4 = 9", Finding("correct", "equal")),
        (r"2\pi", r"\pi + \pi = 2\pi", Finding("correct", "equal")),
        (r"2\pi", r"\pi + 3 = 2\pi", Finding("incorrect", "chain_differs")),
        (r"2\pi", r"2\pi \approx 6.28", Finding("correct", "equal")),
        (r"2\pi", r"2\pi \approx 7.3", Finding("incorrect", "several_values")),
    ],
)
def test_findings(gold: str, answer: str, finding: Finding):
    assert decide((gold,), answer) == finding


def test_any_accepted_answer_will_do_and_one_that_excludes_is_enough():
    assert decide((r"\foo", "x+1"), "1+x").verdict == "correct"
    assert decide((r"\foo", "x+1"), "2+x") == Finding("incorrect", "different")


def test_the_policy_and_the_tolerance_are_handed_on():
    assert decide(("8",), "2^3").reason == "not_a_literal"
    assert decide(("8",), "2^3", policy="eval").verdict == "correct"
    assert decide(("3.2",), r"\pi").verdict == "incorrect"
    near = Tolerance(absolute=0.1)
    assert decide(("3.2",), r"\pi", tolerance=near).verdict == "correct"
    assert decide(("(3.2, x)",), r"(\pi, x)", tolerance=near).verdict == "correct"
