r"""Unions of intervals by what they contain: ``[1,2] \cup [2,3]`` is ``[1,3]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath

from services.verification.evaluation import Evaluator, NoValueError, TooBigError
from services.verification.expression import UnreadableError, expression, symbols
from services.verification.shapes import Shape, shape
from services.verification.words import constant

_DIGITS = 40
_INFINITE = {r"\infty": mpmath.inf, r"-\infty": -mpmath.inf}


@dataclass(frozen=True)
class _Span:
    """An interval; ``low`` and ``high`` are real numbers of mpmath, or infinite."""

    low: Any
    low_open: bool
    high: Any
    high_open: bool


def same_union(gold: Shape, answer: Shape) -> bool | None:
    """Whether two unions of intervals and points are the same set; None if one is not known."""
    a, b = _spans(gold), _spans(answer)
    if a is None or b is None:
        return None
    return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))


def _spans(union: Shape) -> list[_Span] | None:
    """Return the intervals of a union, merged and in order; None if an end is not known."""
    if union.kind == "union":
        pieces = [shape(p) for p in union.parts]
    elif union.kind == "tuple":
        pieces = [union]
    else:
        return None
    evaluator = Evaluator(_DIGITS)
    spans: list[_Span] = []
    for piece in pieces:
        try:
            spans.extend(_piece(piece, evaluator))
        except (UnreadableError, NoValueError, TooBigError):
            return None
    return _merged(spans)


def _piece(piece: Shape, evaluator: Evaluator) -> list[_Span]:
    if piece.kind == "set":
        values = [_end(p, evaluator) for p in piece.parts]
        return [_Span(v, False, v, False) for v in values]
    if piece.kind != "tuple" or len(piece.parts) != 2:
        raise UnreadableError("no interval")
    low, high = (_end(p, evaluator) for p in piece.parts)
    return [_Span(low, piece.form[0] == "(", high, piece.form[1] == ")")]


def _end(text: str, evaluator: Evaluator) -> Any:
    if (infinite := _INFINITE.get(constant(text) or "")) is not None:
        return infinite
    tree = expression(text)
    if symbols(tree):
        raise UnreadableError("an end that depends on a variable")
    value = evaluator.number(evaluator.value(tree, {}))
    if not isinstance(value, evaluator.ctx.mpf):
        raise NoValueError("an end that is not real")
    return value


def _merged(spans: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda s: (s.low, s.low_open)):
        last = merged[-1] if merged else None
        if last is None or not _touch(last, span):
            merged.append(span)
            continue
        high, high_open = last.high, last.high_open
        if (span.high, not span.high_open) > (high, not high_open):
            high, high_open = span.high, span.high_open
        merged[-1] = _Span(last.low, last.low_open, high, high_open)
    return merged


def _touch(a: _Span, b: _Span) -> bool:
    """Whether nothing lies between two intervals, the first of which begins first."""
    return bool(b.low < a.high or (b.low == a.high and not (a.high_open and b.low_open)))


def _same(a: _Span, b: _Span) -> bool:
    return (
        (a.low_open, a.high_open) == (b.low_open, b.high_open)
        and _near(a.low, b.low)
        and _near(a.high, b.high)
    )


def _near(a: Any, b: Any) -> bool:
    if mpmath.isinf(a) or mpmath.isinf(b):
        return bool(a == b)
    return bool(abs(a - b) <= max(abs(a), abs(b)) * mpmath.mpf(10) ** (10 - _DIGITS))
