"""The exact layers: what they decide, what they leave open, and how fast."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.exact import compare, is_special
from services.verification.number import quantity
from services.verification.settle import Settled, settle


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("42", "42"),
        ("42", "+42"),
        ("0", "-0"),
        ("016", "16"),
        ("142.0", "142"),
        ("1000", "1,000"),
        ("1000", "1{,}000"),
        ("1000", r"1\,000"),
        (r"\$32,\!348", "32348"),
        ("-7", "\N{MINUS SIGN}7"),
        (r"\frac{1}{2}", "0.5"),
        (r"\frac{1}{2}", ".5"),
        ("1/2", r"\dfrac12"),
        (r"-\frac{1}{4}", r"\frac{-1}{4}"),
        (r"- \frac{1}{4}", "-1/4"),
        ("3.5", r"3\frac{1}{2}"),
        ("3.5", "3 1/2"),
        ("-3.5", r"-3 \tfrac12"),
        ("2/4", "1/2"),
        (r"7.5 \times 10^7", "75000000"),
        (r"7.5\cdot10^{-2}", "0.075"),
        ("1e6", "10^6"),
        ("25", r"25\%"),
        (r"25\%", "0.25"),
        ("0.25", "25%"),
        ("30", r"30^{\circ}"),
        ("10", r"10\text{ cm}"),
        (r"10\text{ centimeters}", r"10\text{ cm}"),
        ("18", r"18.00 \text{ dollars}"),
        ("11", r"11^{\text{th}}"),
        ("$5$", "5."),
        ("5", r"\displaystyle 5"),
        (r"\text{yes}", "yes"),
        ("(1, 2)", r"\left(1,2\right)"),
        ("x + 1", "x+1"),
        ("6:00", r"6:00 \text{ PM}"),
        (r"3\text{ km}", r"3000\text{ m}"),
        (r"5 \text{ m/s}", r"18 \text{ km/h}"),
        (r"20\text{ cm}^2", r"20\text{ square centimeters}"),
        ("245 yd.", "245"),
        (r"\frac{1}{3}", r"0.\overline{3}"),
        (r"33\frac13\%", r"\frac{100}{3}"),
        ("2516_8", "2516"),
        ("111_{(2)}", "111_2"),
        ("1:2:3", "2:4:6"),
        (r"\text{Tuesday}", "tuesday"),
        (r"\text{ellipse}", r"\text{an ellipse}"),
        ("C", r"\textbf{(C)}\ 12"),
        (r"\varnothing", r"\{\}"),
        (r"\mathbb{R}", r"(-\infty, \infty)"),
        (r"3 \pmod{7}", r"n \equiv 10 \pmod 7"),
    ],
)
def test_equal_answers_in_other_clothes(gold: str, answer: str):
    assert compare(gold, answer) == "equal"
    assert compare(answer, gold) == "equal"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("42", "43"),
        ("42", "-42"),
        ("1000", "1,001"),
        (r"\frac{1}{3}", "0.333"),
        (r"3\frac{1}{2}", r"\frac{3}{2}"),
        ("25", "2500"),
        (r"25\%", "0.0025"),
        ("1e6", "10^7"),
        (r"3\text{ m}", r"3\text{ cm}"),
        ("1234567890123456789012345678901", "1234567890123456789012345678902"),
        (r"3\text{ m}", r"3\text{ m}^2"),
        ("$5", r"5\text{ cents}"),
        ("6:00 am", "6:00 pm"),
        ("1358", "2516_8"),
        ("2516_8", "2516_7"),
        ("1:2:3", "1:3:2"),
        ("east", "seat"),
        ("CAB", "ABC"),
        (r"\text{(B)}", "C"),
        (r"\infty", r"-\infty"),
        (r"\emptyset", "0"),
        (r"3 \pmod{7}", r"4 \pmod 7"),
    ],
)
def test_different_answers(gold: str, answer: str):
    assert compare(gold, answer) == "different"
    assert compare(answer, gold) == "different"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("4", "2+2"),
        ("3", r"\sqrt{9}"),
        ("12", "1,2"),
        ("123", "1,23"),
        ("7", r"2\frac{7}{2}"),
        ("1", "1/0"),
        ("1", "1e99999"),
        ("2x+1", "1+2x"),
        ("(1, 2)", "(2, 1)"),
        ("100, 200", "200, 100"),
        ("5", "5t"),
        ("5", "5 theta"),
        ("12", r"5 \quad 7"),
        ("", ""),
        ("3", "1" * 5000),
        ("0", "__import__('os').getpid()*0"),
    ],
)
def test_everything_else_is_left_open(gold: str, answer: str):
    assert compare(gold, answer) == "undecided"


@given(st.fractions(), st.fractions())
def test_fractions_compare_as_rationals(a: Fraction, b: Fraction):
    def latex(x: Fraction) -> str:
        return rf"\frac{{{x.numerator}}}{{{x.denominator}}}"

    assert compare(latex(a), f"{b.numerator}/{b.denominator}") == (
        "equal" if a == b else "different"
    )


@given(st.integers(-(10**30), 10**30), st.integers(0, 12))
def test_decimals_and_thousands_are_exact(n: int, places: int):
    value = Fraction(n, 10**places)
    whole, rest = divmod(abs(n), 10**places)
    sign = "-" if n < 0 else ""
    text = f"{sign}{whole:,}" + (f".{rest:0{places}d}" if places else "")
    found = quantity(text)
    assert found is not None
    assert found.value == value


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_breaks_it_and_only_what_is_known_is_called_different(a: str, b: str):
    if compare(a, b) == "different":
        assert quantity(a) is not None or is_special(a)


def test_plain_numbers_run_at_twenty_thousand_a_second():
    texts = [f"<think>{'12+3=15 ' * 20}</think>\n\\boxed{{{i}}}" for i in range(5000)]
    started = time.process_time()
    for text in texts:
        assert isinstance(settle(("77",), text), Settled)
    assert 5000 / (time.process_time() - started) > 20_000
