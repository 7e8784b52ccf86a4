"""What is settled without a worker: verdicts with their reasons, policies, tolerances."""

from __future__ import annotations

import time
from typing import get_args

import pytest

from services.verification.policy import RULES, Policy
from services.verification.settle import Open, Settled, settle
from services.verification.tolerance import Tolerance


def settled(gold: str | tuple[str, ...], answer: str, **more: object) -> tuple[str, str]:
    golds = (gold,) if isinstance(gold, str) else gold
    found = settle(golds, f"<think>so</think> \\boxed{{{answer}}}", **more)  # type: ignore[arg-type]
    assert isinstance(found, Settled)
    return found.verdict, found.reason


@pytest.mark.parametrize(
    ("gold", "answer", "verdict", "reason"),
    [
        ("7", "7", "correct", "equal"),
        ("7", "8", "incorrect", "different"),
        ("7", "3+4", "incorrect", "not_a_literal"),
        ("7", "n", "incorrect", "not_a_literal"),
        ("7", r"\frac{14}{2}", "incorrect", "not_a_literal"),
        (r"\frac{3}{4}", r"\frac12+\frac14", "incorrect", "unfinished"),
        (r"\frac{3}{4}", r"\int_0^1 x dx", "incorrect", "unevaluated"),
        (r"\sqrt{2}", r"\sum_{k=1}^9 k", "incorrect", "unevaluated"),
        ("7", "6 = 7", "incorrect", "chain_differs"),
        ("7", r"7 \approx 9", "incorrect", "several_values"),
        (r"x+y=7", "7", "incorrect", "not_an_equation"),
        ("0", "x^2=0", "incorrect", "equation_for_value"),
        ("x+1", "9^{9^{9}}", "unparsable", "unsupported:exponent"),
        ("x+1", "exec(x)", "unparsable", "unsupported:code"),
        ("x+1", "x\x00+1", "unparsable", "unsupported:control_character"),
        ("x+1", "x+\N{ZERO WIDTH SPACE}1", "unparsable", "unsupported:control_character"),
        ("x+1", "(" * 30 + "x" + ")" * 30, "unparsable", "unsupported:depth"),
        (("",), "7", "error", "no_gold"),
        ("x" * 3000, "7x", "error", "gold_too_large"),
    ],
)
def test_every_reason(gold: str | tuple[str, ...], answer: str, verdict: str, reason: str):
    assert settled(gold, answer) == (verdict, reason)


def test_what_needs_algebra_is_left_open_with_the_accepted_answers_that_are_undecided():
    found = settle(("7", "x+1", r"\sqrt{x}"), r"</think> \boxed{1+x}")
    assert found == Open(("x+1", r"\sqrt{x}"), "1+x", well_formed=True)


def test_what_is_long_or_deep_is_left_to_a_worker():
    words = r"\text{" + "so " * 160 + "it is}"
    assert isinstance(settle(("x+1",), f"</think> \\boxed{{1+x+{words}}}"), Open)
    assert isinstance(settle(("1",), f"</think> \\boxed{{{words}}}"), Settled)
    assert isinstance(settle(("1",), f"</think> \\boxed{{{words} {words}}}"), Open)
    deep, same = ("(1," * 8 + last + ")" * 8 for last in ("2", "2.0"))
    assert isinstance(settle((deep,), f"</think> \\boxed{{{same}}}"), Open)


def test_a_list_for_one_value_is_several_values_once_its_parts_are_known():
    assert settled("x=7", "7, 9") == ("incorrect", "several_values")


@pytest.mark.parametrize(
    ("gold", "answer", "reward", "lenient"),
    [
        ("8", "2^3", "incorrect", None),
        ("8", "6+2", "incorrect", "incorrect"),
        ("8", "16/2", "incorrect", "incorrect"),
        ("[1,2]", r"1 \le x \le 2", "correct", "correct"),
    ],
)
def test_eval_takes_closed_forms_but_no_unfinished_arithmetic(
    gold: str, answer: str, reward: str, lenient: str | None
):
    output = f"</think> \\boxed{{{answer}}}"
    found = [settle((gold,), output, p) for p in ("reward", "eval")]
    assert [getattr(f, "verdict", None) for f in found] == [reward, lenient]


@pytest.mark.parametrize(
    ("gold", "output"),
    [
        ("4.5e33", r"</think> \boxed{4.5 \times 10^{31}}"),
        ("7", "<think> so it must be 7"),
        ("7", r"<think> so \boxed{7 \text{ or } 9}"),
        ("7", "</think> either 3 or 7"),
    ],
)
def test_parity_pays_for_a_first_or_last_number_and_nothing_else_does(gold: str, output: str):
    for policy in get_args(Policy):
        found = settle((gold,), output, policy)
        assert isinstance(found, Settled)
        assert (found.verdict == "correct") == (policy == "thinkless-parity")


def test_parity_has_no_notation_for_intervals_but_the_accepted_one():
    assert settled("[1,2]", r"1 < x", policy="thinkless-parity") == ("correct", "first_number")
    assert settled("[1,2]", r"3 \le x", policy="thinkless-parity")[1] == "other_notation"


def test_a_tolerance_is_applied_to_numbers_and_parts():
    near = Tolerance(relative=0.02)
    assert settled("9.6", "9.7", tolerance=near) == ("correct", "equal")
    assert settled("9.6", "9.8", tolerance=near) == ("incorrect", "different")
    assert settled("(9.6, 1)", "(9.7, 1.01)", tolerance=near) == ("correct", "equal")
    assert settled("9.6", "9.7") == ("incorrect", "different")


def test_there_are_rules_for_every_policy():
    assert set(RULES) == set(get_args(Policy))


@pytest.mark.parametrize(
    "unit",
    [
        "/",
        "(",
        ")",
        ",",
        "=",
        "=½",
        "=[",
        "]1,",
        "1 000 ",
        "0.3",
        "\\text{m^{2}",
        "{\\over",
        "\\bold{",
        "1,",
        "\\pm ",
        "\\cup ",
        "\\text{or}",
        "&\\\\",
        "x<",
        "^",
        "_",
        "!",
    ],
)
def test_a_crafted_answer_is_settled_or_left_open_within_a_moment(unit: str):
    answer = (unit * 2000)[:2000]
    started = time.process_time()
    for gold in ("42", r"\{1,2\}", "[0,1)", r"\text{east}", "x+1"):
        settle((gold,), f"</think> \\boxed{{{answer}}}")
        settle((gold,), f"</think> \\boxed{{{answer[:500]}}}")
    assert time.process_time() - started < 1.0


def test_a_long_answer_that_is_the_accepted_one_is_right():
    long = "7" * 1500
    found = settle((long,), f"</think> \\boxed{{{long}}}")
    assert isinstance(found, Settled)
    assert found.verdict == "correct"
    other = settle((long,), f"</think> \\boxed{{{long[:-1]}8}}")
    assert isinstance(other, Settled)
    assert (other.verdict, other.reason) == ("unparsable", "unsupported:digits")
