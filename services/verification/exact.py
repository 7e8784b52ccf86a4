"""Exact comparison of plain answers in microseconds: texts and rational numbers, no algebra."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from services.verification.congruences import same_congruence
from services.verification.number import Quantity, quantity
from services.verification.ratios import same_ratio
from services.verification.spelling import canonical
from services.verification.tolerance import Tolerance
from services.verification.units import unit
from services.verification.words import (
    choice,
    constant,
    same_numeral,
    same_time,
    same_words,
    words,
)

Outcome = Literal["equal", "different", "undecided"]

_MAX_LENGTH = 2048
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


def compare(gold: str, answer: str, tolerance: Tolerance | None = None) -> Outcome:
    """Compare two answers exactly.

    ``different`` is returned only when both sides are known exactly: numbers, words, constants,
    numerals, choices. Whatever needs algebra is ``undecided``. A unit on one side only is ignored;
    of two known ones the amounts are compared where they convert, else they differ.
    """
    if tolerance is None and _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
        # Canonical spellings without leading zeros: -0 is the one exception.
        return "equal" if gold == answer or int(gold) == int(answer) else "different"
    if len(gold) > _MAX_LENGTH or len(answer) > _MAX_LENGTH:
        return "undecided"
    a, b = quantity(gold), quantity(answer)
    if a is not None and b is not None:
        return _compare_quantities(a, b, tolerance)
    left = canonical(gold)
    if left and left == canonical(answer):
        return "equal"
    return _compare_texts(gold, answer, a, b)


def is_special(text: str) -> bool:
    """Whether a text is known exactly without being a number: words, a numeral, a time, a ratio."""
    if constant(text) or words(text) or choice(text):
        return True
    return any(reading(text, text) is not None for reading in _READINGS)


_READINGS = (same_numeral, same_time, same_ratio, same_congruence)


def _compare_texts(gold: str, answer: str, a: Quantity | None, b: Quantity | None) -> Outcome:
    for reading in _READINGS:
        if (same := reading(gold, answer)) is not None:
            return "equal" if same else "different"
    left, right = constant(gold), constant(answer)
    if left or right:
        if left and right:
            return "equal" if left == right else "different"
        return "different" if a or b or words(answer) or words(gold) else "undecided"
    if (named := choice(gold)) is not None:
        outcome = _compare_choices(named, answer)
        if outcome != "undecided":
            return outcome
    if (same := same_words(gold, answer)) is not None:
        return "equal" if same else "different"
    return "different" if a is not None and words(answer) else "undecided"


def _compare_choices(gold: tuple[str, str], answer: str) -> Outcome:
    letter, content = gold
    given = choice(answer)
    if given is not None:
        return "equal" if given[0] == letter else "different"
    return compare(content, answer) if content else "undecided"


def _compare_quantities(a: Quantity, b: Quantity, tolerance: Tolerance | None) -> Outcome:
    if a.unit is None or b.unit is None or a.unit == b.unit:
        # 25 % is 25 hundredths, but a bare 25 is taken to leave the sign out.
        golds = [a.value]
        if "%" in (a.unit, b.unit) and a.unit != b.unit:
            golds.append(a.value / 100 if a.unit == "%" else a.value * 100)
        return "equal" if any(_near(g, b.value, tolerance) for g in golds) else "different"
    if "%" in (a.unit, b.unit):
        return "different"
    left, right = unit(a.unit), unit(b.unit)
    if left is None or right is None:
        # Words that name what was counted: the question has said it.
        return "equal" if _near(a.value, b.value, tolerance) else "different"
    if not left.comparable(right):
        return "different"
    same = _near(a.value * left.factor, b.value * right.factor, tolerance)
    return "equal" if same else "different"


def _near(gold: Fraction, answer: Fraction, tolerance: Tolerance | None) -> bool:
    return gold == answer if tolerance is None else tolerance.accepts(gold, answer)
