"""Comparison by values: identities, near misses, domains, and too few points."""

from __future__ import annotations

import pytest

from services.verification.expression import Call, expression
from services.verification.numeric import compare_values, constant_ratio, different_zeros
from services.verification.tolerance import Tolerance


def compare(gold: str, answer: str, tolerance: Tolerance | None = None) -> str:
    return compare_values(expression(gold), expression(answer), tolerance)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\frac{e^x-e^{-x}}{2}", r"\sinh x"),
        (r"\cos 2x", r"1-2\sin^2 x"),
        ("x^{10000}", "x^{5000} x^{5000}"),
        (r"\frac{1+\sqrt5}{4}", r"\cos\frac{\pi}{5}"),
        ("0", r"\sin^2 1 + \cos^2 1 - 1"),
        ("0", r"\ln 1001 - \ln 7 - \ln 11 - \ln 13"),
        ("0", r"\sqrt{13}\sqrt{13} - 13"),
        ("0", r"\cos^2 2 - \frac{1+\cos 4}{2}"),
        (r"\sqrt{2+\sqrt3}", r"\frac{\sqrt6+\sqrt2}{2}"),
        (r"\sqrt{1-x^2}", r"\cos(\arcsin x)"),
        (r"\ln x", r"\ln 2x - \ln 2"),
        (r"\sqrt{x-7}", r"(x-7)^{1/2}"),
        ("(-1)^n", r"\cos(n\pi)"),
        ("(a+b)^2", "a^2+2ab+b^2"),
        ("f(x+1)+2", "2+f(1+x)"),
        ("e^{ix}", r"\cos x + i\sin x"),
    ],
)
def test_identities_are_equal(gold: str, answer: str):
    assert compare(gold, answer) == "equal"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\ln x^2", r"2\ln x"),
        (r"2\ln x", r"\ln x^2"),
        (r"\sqrt{x^2}", "x"),
        (r"\sqrt{x}\sqrt{y}", r"\sqrt{xy}"),
        ("x", r"x + 10^{-40}"),
        (r"\sqrt2", r"\sqrt2 + 10^{-60}"),
        (r"\pi", "3.14159265358979323846264338327950288419716939937510582097494459"),
        ("6.6 10^{-34}".replace(" ", r"\cdot "), r"1.1\cdot 10^{-34}"),
        (r"\frac{\lfloor x \rfloor}{\lfloor x \rfloor}", "1"),
        ("1", r"\frac{\lfloor x \rfloor}{\lfloor x \rfloor}"),
        ("0", r"10^{-100}"),
        ("f(x)", "f(x+1)"),
        ("f(x)", "g(x)"),
        ("e^{ix}", r"\cos x - i\sin x"),
        (r"\frac{1}{0}", "1"),
        ("2x+3", "2a+3"),
    ],
)
def test_near_misses_and_other_domains_are_different(gold: str, answer: str):
    assert compare(gold, answer) == "different"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        # Real only beyond all points that are tried, and towers too big for any.
        (r"\sqrt{x-1000}", r"(x-1000)^{1/2}"),
        ("9^{9^{9^{9}}}", "9^{9^{9^{9}}}+1"),
        (r"x^{10^{9}}", r"x^{10^{9}}"),
    ],
)
def test_too_few_points_decide_nothing(gold: str, answer: str):
    assert compare(gold, answer) == "undecided"


def test_a_tolerance_is_for_numbers():
    near = Tolerance(relative=0.01)
    assert compare(r"\pi", "3.15", near) == "equal"
    assert compare(r"\pi", "3.2", near) == "different"
    assert compare("x", "1.001x", near) == "different"


def zero(text: str) -> Call:
    left, right = (expression(side) for side in text.split("="))
    return Call("+", (left, Call("-", (right,))))


@pytest.mark.parametrize(
    ("gold", "answer", "sign"),
    [
        ("x+y=5", "2x+2y=10", 1),
        ("x+y=5", "5=x+y", -1),
        (r"\frac{x^2}{4}+y^2=1", "x^2+4y^2=4", 1),
        ("x+y=5", "x+y=6", None),
        ("xy=1", r"y=\frac{1}{x}", None),
        ("x=1", "x^2=1", None),
        ("x=1", "y=y", None),
    ],
)
def test_equations_that_are_multiples_say_the_same(gold: str, answer: str, sign: int | None):
    assert constant_ratio(zero(gold), zero(answer)) == sign


@pytest.mark.parametrize(
    ("gold", "answer", "differ"),
    [
        ("x+y=5", "x+y=6", True),
        ("y=2x+3", "2x-y+4=0", True),
        ("x=2", "y=2", True),
        ("x=1", "x^2=1", True),
        ("y=3x", "y=y", True),
        ("xy=1", r"y=\frac{1}{x}", False),
        ("x+y=5", "2x+2y=10", False),
    ],
)
def test_zeros_of_one_that_are_none_of_the_other_tell_equations_apart(
    gold: str, answer: str, differ: bool
):
    assert different_zeros(zero(gold), zero(answer)) is differ
