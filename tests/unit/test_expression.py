"""The grammar of expressions: how they are read, and what is refused rather than guessed."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from services.verification.evaluation import Evaluator, NoValueError, TooBigError
from services.verification.expression import UnreadableError, expression, symbols

POINT = {"x": Fraction(3), "y": Fraction(5), "n": Fraction(4), "a": Fraction(2), "t": Fraction(1)}


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator(30)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1+2x", 7),
        ("-x^2", -9),
        ("2^-1", Fraction(1, 2)),
        ("2^10", 1024),
        ("x^2y", 45),
        (r"2\frac12", Fraction(5, 2)),
        (r"2\frac12x", Fraction(15, 2)),
        (r"x\frac12", Fraction(3, 2)),
        (r"2\frac32", 3),
        ("2(3)", 6),
        ("x(y+1)", 18),
        ("8/2/2", 2),
        (r"2\cdot-3", -6),
        (r"\frac34", Fraction(3, 4)),
        (r"\sqrt{9}", 3),
        (r"\sqrt9x", 9),
        ("|x-y|", 2),
        ("|x||y|", 15),
        ("n!", 24),
        ("n!!", 8),
        ("(n-1)!x", 18),
        (r"\binom{n}{2}", 6),
        (r"\lfloor x/2 \rfloor", 1),
        (r"\lceil x/2 \rceil", 2),
        (r"\max(x,y)", 5),
        (r"\gcd(6,4)", 2),
        ("x**2", 9),
        ("[x+1]2", 8),
        (r"x_1'-x_1'", 0),
    ],
)
def test_expressions_are_read_as_written(evaluator: Evaluator, text: str, value: int | Fraction):
    point = {**POINT, "x_1'": Fraction(7)}
    assert evaluator.value(expression(text), point) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\sin 2x \cos y", "-0.0792596108714035"),  # sin(6) cos(5)
        (r"\sin^2 x", "0.0199148566748170"),
        (r"\tan^{-1} x", "1.24904577239825"),
        (r"\log_2 x", "1.58496250072116"),
        (r"\log x", "0.477121254719662"),
        (r"\ln x", "1.09861228866811"),
        (r"\sin 30^\circ", "0.5"),
        ("e^{2}", "7.38905609893065"),
        (r"(-8)^{1/3}", "-2"),
        (r"\sqrt[3]{-8}", "-2"),
    ],
)
def test_functions_take_the_argument_a_reader_sees(evaluator: Evaluator, text: str, value: str):
    found = evaluator.number(evaluator.value(expression(text), POINT))
    assert abs(found - evaluator.ctx.mpf(value)) < 1e-12


@pytest.mark.parametrize(
    "text",
    [
        "5 7",
        r"5 \quad 7",
        "1+",
        "(x",
        "x)",
        r"\foo x",
        r"\text{see}+1",
        "5 @ 7",
        "x % y",
        "2^3^4",
        "x^2!",
        r"\ln(x)^2",
        "[x]",
        "2[x/2]",
        r"\sin",
        r"\frac{1}",
        r"1+\ldots+n",
        "1,2",
        "x=1",
        "х",
        "__import__('os')",
        "(" * 100 + "x" + ")" * 100,
        "",
    ],
)
def test_what_could_be_meant_otherwise_is_refused(text: str):
    with pytest.raises(UnreadableError):
        expression(text)


def test_symbols_have_subscripts_and_no_constants():
    assert symbols(expression(r"e^{i\pi} + x_{12} + \alpha + f(t)")) == {"x_12", "alpha", "t"}


@pytest.mark.parametrize("text", [r"\frac{1}{x-3}", "0^0", r"\ln 0", "(-1)!", r"\frac{1}{0}"])
def test_a_pole_has_no_value(evaluator: Evaluator, text: str):
    with pytest.raises(NoValueError):
        evaluator.value(expression(text), POINT)


@pytest.mark.parametrize("text", ["9^{9^{9^{9}}}", "(10^{10})!", "e^{e^{e^{e^{x}}}}", "2^{10^{9}}"])
def test_a_tower_is_given_up_at_once(evaluator: Evaluator, text: str):
    started = time.process_time()
    with pytest.raises(TooBigError):
        evaluator.value(expression(text), POINT)
    assert time.process_time() - started < 0.5
