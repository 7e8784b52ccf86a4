"""Answers in the forms data sets write them in."""

from __future__ import annotations

import pytest

from services.answer_forms import read_answer, with_unit
from services.verification.exact import compare


@pytest.mark.parametrize(
    ("value", "expected"),
    [(" x + 1\n", "x + 1"), (142.0, "142"), (0.5, "0.5"), (-3, "-3"), ("142.0", "142.0")],
)
def test_plain(value, expected):
    assert read_answer(value) == expected


@pytest.mark.parametrize("value", [None, "", " ", True, [], {}, float("nan"), float("inf")])
@pytest.mark.parametrize("form", ["plain", "whole", "hashes", "boxed"])
def test_no_answer_is_empty(value, form):
    assert read_answer(value, form) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (142.0, "142"), ("142.0", "142"), ("025", "25"), ("000", "0"), ("-1.", "-1"),
        ("+7", "7"), ("3.5", "3.5"), ("1/2", "1/2"), ("12a", "12a"),
    ],
)  # fmt: skip
def test_whole(value, expected):
    assert read_answer(value, "whole") == expected


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("2 + 3 = <<2+3=5>>5\n#### 5", "5"),
        ("#### 1\nagain\n#### 1,234", "1234"),
        ("no mark, but 5", ""),
        ("####", ""),
    ],
)
def test_hashes(solution, expected):
    assert read_answer(solution, "hashes") == expected


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        (r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"first \boxed{1}, then \boxed{2}", "2"),
        (r"\boxed 7 it is", "7"),
        ("no box", ""),
        (r"\boxed{}", ""),
        (r"cut \boxed{1", ""),
    ],
)
def test_boxed(solution, expected):
    assert read_answer(solution, "boxed") == expected


@pytest.mark.parametrize(
    ("answer", "unit", "expected"),
    [
        ("45", "minute", r"45\text{ minute}"),
        ("$166$", "$cm^2$", r"166\text{ cm}^2"),
        ("4.2", "%", r"4.2\%"),
        ("90", r"^{\circ}", r"90^{\circ}"),
        ("7", " ", "7"),
    ],
)
def test_units(answer, unit, expected):
    gold = with_unit(answer, unit)
    assert gold == expected
    assert compare(gold, answer.strip("$")) == "equal", "a response may leave the unit out"
