"""Comparison of expressions by their values: at seeded points, to many digits, with the domain."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from services.verification.evaluation import Evaluator, NoValueError, TooBigError, Value
from services.verification.exact import Outcome
from services.verification.expression import Call, Node, Number, symbols
from services.verification.tolerance import Tolerance

_DIGITS = (30, 90, 150)
"""Precisions: the first for every point, the others to tell a small difference from none."""
_RANGES = ((1, 127, 1), (129, 511, 1), (1, 127, -1), (129, 511, -1), (641, 7_679, 1))
"""Sizes of the values tried, in 128ths, and the sign of one of them: by turns, six times each."""
_TURNS = 6
_WHOLE_POINTS = 12
"""Points of whole numbers, tried where the accepted answer has no real value between: (-1)^n."""
_ENOUGH = 6
"""Points with a value that are needed to call two expressions equal."""
_AGREED = 10
"""Points after which no further one is looked at."""
_CLOSE_LOOKS = 2
"""Points at which agreement is confirmed with more digits."""
_MAX_SYMBOLS = 12
_STEPS = 30

Point = Mapping[str, Fraction]
_NOWHERE: Literal["nowhere"] = "nowhere"
_BEYOND: Literal["beyond"] = "beyond"


@lru_cache(maxsize=1)
def _evaluators() -> tuple[Evaluator, ...]:
    return tuple(Evaluator(d) for d in _DIGITS)


def compare_values(gold: Node, answer: Node, tolerance: Tolerance | None = None) -> Outcome:
    """Compare two expressions by their values.

    Without variables the two values decide. With variables the expressions must agree at every
    point tried, and where one has a real value the other must have one too: ``2 ln x`` is not
    ``ln x^2``. With fewer than six points where both have one it stays undecided.
    """
    names = sorted(symbols(gold) | symbols(answer))
    if not names:
        return _compare_constants(gold, answer, tolerance)
    if len(names) > _MAX_SYMBOLS:
        return "undecided"
    complex_values = _is_complex(gold) or _is_complex(answer)
    tried = list(_points(names))
    if all(_at(gold, p, complex_values) == _NOWHERE for p in tried):
        tried = list(_whole_points(names))
    valid = 0
    for point in tried:
        a, b = _at(gold, point, complex_values), _at(answer, point, complex_values)
        if _BEYOND in (a, b) or a == b == _NOWHERE:
            continue
        if _NOWHERE in (a, b) or not _same(gold, answer, point, close=valid < _CLOSE_LOOKS):
            return "different"
        valid += 1
        if valid == _AGREED:
            break
    return "equal" if valid >= _ENOUGH else "undecided"


def constant_ratio(gold: Node, answer: Node) -> int | None:
    """Return the sign of the constant that one expression is of the other, or None if it is not.

    Equations ``gold = 0`` and ``answer = 0`` then say the same. They may say the same without it
    (``x = 1/y`` and ``xy = 1``).
    """
    names = sorted(symbols(gold) | symbols(answer))
    if not names or len(names) > _MAX_SYMBOLS or _is_complex(gold) or _is_complex(answer):
        return None
    used = [p for p in _points(names) if not {_NOWHERE, _BEYOND} & {_at(gold, p), _at(answer, p)}]
    low = _evaluators()[0]
    first = next((p for p in used if low.value(gold, p) != 0), None)
    if first is None or len(used) < _ENOUGH:
        return None
    ratio = low.divide(low.value(answer, first), low.value(gold, first))
    if ratio == 0 or not all(_same_ratio(gold, answer, first, p) for p in used[:_AGREED]):
        return None
    return 1 if _real(ratio) > 0 else -1


def different_zeros(gold: Node, answer: Node) -> bool:
    """Whether equations ``gold = 0`` and ``answer = 0`` are seen to have different solutions.

    Solutions of the one are put into the other, at two points at least. Finding none that differs
    proves nothing.
    """
    names = sorted(symbols(gold) | symbols(answer))
    if not names or len(names) > _MAX_SYMBOLS or _is_complex(gold) or _is_complex(answer):
        return False
    seen = 0
    for left, right in ((gold, answer), (answer, gold)):
        for name in sorted(symbols(left)):
            for point in itertools.islice(_points(names), len(_RANGES)):
                seen += _misses(left, right, name, point)
                if seen > 1:
                    return True
    return False


def _misses(left: Node, right: Node, name: str, point: Point) -> bool:
    """Whether a zero of ``left``, sought along one variable, is far from one of ``right``."""
    low = _evaluators()[0]

    def along(tree: Node, x: Value) -> Value:
        return low.number(low.value(tree, {**point, name: x}))

    try:
        start = low.number(point[name])
        zero = low.ctx.findroot(lambda x: along(left, x), start, solver="secant", maxsteps=_STEPS)
        if _real(zero) is None:
            return False
        here, there = abs(along(right, _real(zero))), abs(along(right, start))
    except (ArithmeticError, ValueError):
        return False
    return bool(here > there * low.ctx.mpf(10) ** -8)


def _same_ratio(gold: Node, answer: Node, p: Point, q: Point) -> bool:
    """Whether answer / gold is the same at two points."""
    return _equal(
        lambda e: e.number(e.value(answer, p)) * e.number(e.value(gold, q)),
        lambda e: e.number(e.value(answer, q)) * e.number(e.value(gold, p)),
    )


def _compare_constants(gold: Node, answer: Node, tolerance: Tolerance | None) -> Outcome:
    low = _evaluators()[0]
    try:
        a, b = low.value(gold, {}), low.value(answer, {})
        if tolerance is not None and _real(a) is not None and _real(b) is not None:
            near = tolerance.accepts(_rational(low.number(a)), _rational(low.number(b)))
            return "equal" if near else "different"
        return "equal" if _same(gold, answer, {}, close=True) else "different"
    except TooBigError:
        return "undecided"
    except NoValueError:
        return "different"


def _at(tree: Node, point: Point, complex_values: bool = False) -> Any:
    """Return the value at a point; ``nowhere`` if it has none there, ``beyond`` if out of reach."""
    try:
        value = _evaluators()[0].value(tree, point)
    except NoValueError:
        return _NOWHERE
    except TooBigError:
        return _BEYOND
    return _NOWHERE if not complex_values and _real(value) is None else value


def _same(gold: Node, answer: Node, point: Point, *, close: bool) -> bool:
    """Whether two expressions have the same value at a point; ``close`` asks for more digits."""
    low = _evaluators()[0]
    a, b = low.value(gold, point), low.value(answer, point)
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    x, y = low.number(a), low.number(b)
    if not close and abs(x - y) <= max(abs(x), abs(y)) * low.ctx.mpf(10) ** (10 - _DIGITS[0]):
        return True
    return _equal(
        lambda e: e.number(e.value(gold, point)), lambda e: e.number(e.value(answer, point))
    )


def _equal(left: Callable[[Evaluator], Value], right: Callable[[Evaluator], Value]) -> bool:
    """Whether two values are equal, by their difference at several precisions.

    A true zero shrinks with the digits, whatever the size of the numbers that it is left of;
    anything else stays.
    """
    before: Value | None = None
    for evaluator, digits in zip(_evaluators(), _DIGITS, strict=True):
        x, y = left(evaluator), right(evaluator)
        apart = abs(x - y)
        ten = evaluator.ctx.mpf(10)
        if before is not None:
            if apart <= max(abs(x), abs(y)) * ten ** (20 - digits):
                return True
            if before > 0:
                return bool(apart <= before * ten ** -(_DIGITS[1] - _DIGITS[0] - 20))
        before = apart
    return False


def _is_complex(tree: Node) -> bool:
    """Whether the imaginary unit is in an expression."""
    if isinstance(tree, Call):
        return any(_is_complex(a) for a in tree.args)
    return not isinstance(tree, Number) and tree.name == "i"


def _real(value: Value) -> Any:
    """Return a value if it is real, up to rounding, else None."""
    if isinstance(value, Fraction) or not hasattr(value, "_mpc_"):
        return value
    negligible = _evaluators()[0].ctx.mpf(10) ** (8 - _DIGITS[0])
    return value.real if abs(value.imag) <= negligible * max(abs(value.real), 1) else None


def _rational(value: Value) -> Fraction:
    """Return a real number of mpmath as the fraction that it is."""
    sign, mantissa, exponent, _ = value.real._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)


def _points(names: list[str]) -> Iterator[Point]:
    """Yield points of small fractions with even denominators, the same ones at every call."""
    rng = random.Random(20_231)
    for low, high, sign in _RANGES * _TURNS:
        point = {n: Fraction(rng.randrange(low, high + 1, 2), 128) for n in names}
        if sign < 0:
            # One at least is negative: what holds for positive numbers only is seen.
            chosen = {n for n in names if rng.random() < 0.5} | {rng.choice(names)}
            point = {n: -v if n in chosen else v for n, v in point.items()}
        yield point


def _whole_points(names: list[str]) -> Iterator[Point]:
    rng = random.Random(20_232)
    for _ in range(_WHOLE_POINTS):
        yield {n: Fraction(rng.randint(1, 12)) for n in names}
