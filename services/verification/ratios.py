"""Ratios: ``2:4:6`` is ``1:2:3``, and ``3:4`` is three quarters."""

from __future__ import annotations

import re
from fractions import Fraction

from services.verification.number import quantity
from services.verification.spelling import canonical

_TO = re.compile(r"\\text\{ ?to ?\}|(?<=[0-9]) to (?=[0-9])")


def same_ratio(gold: str, answer: str) -> bool | None:
    """Whether two ratios are the same; None if neither is one, or one is not known exactly."""
    if ":" in gold + answer:
        gold, answer = (_TO.sub(":", canonical(t)) for t in (gold, answer))
    a, b = _terms(gold), _terms(answer)
    if a is None or b is None or len(a) == len(b) == 1:
        return None
    if {len(a), len(b)} == {1, 2}:
        a, b = ([*t, Fraction(1)] if len(t) == 1 else t for t in (a, b))
    if len(a) != len(b):
        return False
    return all(x * b[0] == y * a[0] for x, y in zip(a, b, strict=True))


def _terms(text: str) -> list[Fraction] | None:
    found = [quantity(t) for t in canonical(text).split(":")]
    known = [q.value for q in found if q is not None]
    return known if len(known) == len(found) and all(known) else None
