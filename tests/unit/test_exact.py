"""The exact layers: what they decide, what they leave open, and how fast."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.exact import compare, quantity
from services.verification.extract import extract


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
    ],
)
def test_different_numbers(gold: str, answer: str):
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
        (r"3\text{ km}", r"3000\text{ m}"),
        ("6:00 am", "6:00 pm"),
        ("east", "seat"),
        ("1", "1e99999"),
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
def test_no_text_breaks_it_and_unequal_text_is_never_called_different(a: str, b: str):
    outcome = compare(a, b)
    if outcome == "different":
        assert quantity(a) is not None
        assert quantity(b) is not None


def test_plain_numbers_run_at_twenty_thousand_a_second():
    texts = [f"<think>{'12+3=15 ' * 20}</think>\n\\boxed{{{i}}}" for i in range(5000)]
    started = time.process_time()
    for text in texts:
        compare("77", extract(text).answer or "")
    assert 5000 / (time.process_time() - started) > 20_000
