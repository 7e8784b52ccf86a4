"""The value of an expression at a point: exact where it is rational, else to many digits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath

from services.verification.expression import Call, Node, Number, Symbol

Value = Any
"""A Fraction, or a real or complex number of mpmath."""

_MAX_BITS = 60_000
"""Longest exact number; a longer one is rounded."""
_MAX_LOG = 1_000_000.0
"""Largest natural logarithm of a value, and largest argument of a function that grows."""
_MAX_EXACT_FACTORIAL = 3_000
_MAX_FACTORIAL = 100_000


class NoValueError(ArithmeticError):
    """The expression has no value there: a pole, or a function where it is not defined."""


class TooBigError(ArithmeticError):
    """The value, or one on the way to it, is out of all proportion."""


class Evaluator:
    """Evaluates expressions at one precision. Not thread-safe."""

    def __init__(self, digits: int) -> None:
        self.ctx = mpmath.MPContext()
        self.ctx.dps = digits
        c = self.ctx
        self._functions: dict[str, Callable[[Value], Value]] = {
            **{n: getattr(c, n) for n in ("sin", "cos", "tan", "cot", "sec", "csc")},
            **{n: getattr(c, n) for n in ("sinh", "cosh", "tanh", "coth", "sech", "csch", "exp")},
            **{f"arc{n}": getattr(c, f"a{n}") for n in ("sin", "cos", "tan", "cot")},
            **{f"arc{n}": getattr(c, f"a{n}") for n in ("sinh", "cosh", "tanh")},
            **{f"ar{n}": getattr(c, f"a{n}") for n in ("sinh", "cosh", "tanh")},
            "ln": c.ln,
            "gamma": c.gamma,
        }
        self._constants = {"pi": +c.pi, "e": +c.e, "i": c.mpc(0, 1)}

    def value(self, tree: Node, point: Mapping[str, Fraction]) -> Value:
        """Evaluate an expression.

        Args:
            point: a value for each of its variables.

        Raises:
            NoValueError: it has no finite value there.
            TooBigError: a number on the way is too big to go on with.
        """
        try:
            found = self._value(tree, point)
        except (ZeroDivisionError, ValueError, mpmath.libmp.ComplexResult) as e:
            raise NoValueError(str(e)) from e
        except OverflowError as e:
            raise TooBigError(str(e)) from e
        if not isinstance(found, Fraction) and not self.ctx.isfinite(found):
            raise NoValueError("not finite")
        return found

    def number(self, value: Value) -> Value:
        """Return a value as a number of mpmath."""
        if isinstance(value, Fraction):
            return self.ctx.mpf(value.numerator) / value.denominator
        return value

    def _value(self, tree: Node, point: Mapping[str, Fraction]) -> Value:
        if isinstance(tree, Number):
            return tree.value
        if isinstance(tree, Symbol):
            known = self._constants.get(tree.name)
            return point[tree.name] if known is None else known
        args = [self._value(a, point) for a in tree.args]
        return self._apply(tree, args)

    def _apply(self, call: Call, args: list[Value]) -> Value:
        arithmetic = _ARITHMETIC.get(call.head)
        if arithmetic is not None:
            return self._bounded(arithmetic(self, *args))
        if (known := self._functions.get(call.head)) is not None:
            argument = self.number(args[0])
            if abs(argument) > _MAX_LOG:
                raise TooBigError(f"{call.head} of {mpmath.nstr(argument, 3)}")
            return known(argument)
        if call.head.startswith("function "):
            return self._unknown(call.head, args)
        return self._several(call.head, args)

    def _bounded(self, value: Value) -> Value:
        """Round an exact number that has grown too long."""
        if isinstance(value, Fraction):
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            return value if bits <= _MAX_BITS else self.number(value)
        return value

    def _unknown(self, head: str, args: list[Value]) -> Fraction:
        """Return the same arbitrary number for the same arguments of an unknown function."""
        key = ";".join([head, *(mpmath.nstr(self.number(a), 15) for a in args)])
        digest = hashlib.sha256(key.encode()).digest()
        return Fraction(int.from_bytes(digest[:4], "big"), 2**30)

    def _several(self, head: str, args: list[Value]) -> Value:
        if head in ("max", "min"):
            numbers = [self._real(a) for a in args]
            return max(numbers) if head == "max" else min(numbers)
        if not all(isinstance(a, Fraction) and a.denominator == 1 for a in args):
            raise NoValueError(f"{head} of numbers that are not whole")
        return Fraction((math.gcd if head == "gcd" else math.lcm)(*(int(a) for a in args)))

    def _real(self, value: Value) -> Value:
        if isinstance(value, self.ctx.mpc):
            raise NoValueError("order of complex numbers")
        return value

    def _binary(self, a: Value, b: Value) -> tuple[Value, Value]:
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a, b
        return self.number(a), self.number(b)

    def add(self, *terms: Value) -> Value:
        total = terms[0]
        for term in terms[1:]:
            a, b = self._binary(total, term)
            total = a + b
        return total

    def negate(self, a: Value) -> Value:
        return -a

    def multiply(self, a: Value, b: Value) -> Value:
        a, b = self._binary(a, b)
        return a * b

    def divide(self, a: Value, b: Value) -> Value:
        a, b = self._binary(a, b)
        if b == 0:
            raise NoValueError("division by zero")
        return a / b

    def degrees(self, a: Value) -> Value:
        return self.number(a) * self.ctx.pi / 180

    def absolute(self, a: Value) -> Value:
        return abs(a)

    def floor(self, a: Value) -> Value:
        return Fraction(math.floor(self._real(a))) if isinstance(a, Fraction) else self.ctx.floor(a)

    def ceil(self, a: Value) -> Value:
        return Fraction(math.ceil(self._real(a))) if isinstance(a, Fraction) else self.ctx.ceil(a)

    def log(self, a: Value, base: Value) -> Value:
        under = self.ctx.ln(self.number(base))
        return self.divide(self.ctx.ln(self.number(a)), under)

    def root(self, a: Value, index: Value) -> Value:
        if index == 0:
            raise NoValueError("root of index zero")
        return self.power(a, self.divide(Fraction(1), index))

    def power(self, a: Value, b: Value) -> Value:
        """Raise to a power; a real number to a fraction with an odd denominator stays real."""
        if a == 0 and b == 0:
            raise NoValueError("0^0")
        if a == 0 and not (self._is_real(b) and b > 0):
            raise NoValueError("zero to a power that is not positive")
        if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1:
            size = max(a.numerator.bit_length(), a.denominator.bit_length())
            if abs(b) * size <= _MAX_BITS:
                return a ** int(b)
        if (root := self._exact_root(a, b)) is not None:
            return root
        x, y = self.number(a), self.number(b)
        if x != 0 and abs(y) * (abs(self.ctx.ln(abs(x))) + 1) > _MAX_LOG:
            raise TooBigError("power")
        odd = isinstance(b, Fraction) and b.denominator % 2 == 1 and b.denominator > 1
        if odd and self._is_real(x) and x < 0:
            return (-1) ** b.numerator * self.ctx.power(-x, y)
        return self.ctx.power(x, y)

    def _is_real(self, value: Value) -> bool:
        return not isinstance(value, self.ctx.mpc)

    def _exact_root(self, a: Value, b: Value) -> Fraction | None:
        """Return the square root of a square of a rational number exactly."""
        if not isinstance(a, Fraction) or b != Fraction(1, 2) or a < 0:
            return None
        top, under = math.isqrt(a.numerator), math.isqrt(a.denominator)
        exact = top * top == a.numerator and under * under == a.denominator
        return Fraction(top, under) if exact else None

    def factorial(self, a: Value) -> Value:
        return self._factorial(a, 1)

    def double_factorial(self, a: Value) -> Value:
        return self._factorial(a, 2)

    def _factorial(self, a: Value, step: int) -> Value:
        whole = isinstance(a, Fraction) and a.denominator == 1
        if whole and a < 0:
            raise NoValueError("factorial of a negative number")
        if whole and a <= _MAX_EXACT_FACTORIAL:
            return Fraction(math.prod(range(int(a), 0, -step)))
        x = self.number(a)
        if abs(x) > _MAX_FACTORIAL:
            raise TooBigError("factorial")
        return self.ctx.factorial(x) if step == 1 else self.ctx.fac2(x)

    def binomial(self, n: Value, k: Value) -> Value:
        whole = all(isinstance(v, Fraction) and v.denominator == 1 for v in (n, k))
        if whole and 0 <= k <= n <= _MAX_EXACT_FACTORIAL:
            return Fraction(math.comb(int(n), int(k)))
        if abs(n) > _MAX_FACTORIAL or abs(k) > _MAX_FACTORIAL:
            raise TooBigError("binomial")
        return self.ctx.binomial(self.number(n), self.number(k))


_ARITHMETIC: dict[str, Callable[..., Value]] = {
    "+": Evaluator.add,
    "-": Evaluator.negate,
    "*": Evaluator.multiply,
    "/": Evaluator.divide,
    "frac": Evaluator.divide,
    "^": Evaluator.power,
    "root": Evaluator.root,
    "log": Evaluator.log,
    "abs": Evaluator.absolute,
    "floor": Evaluator.floor,
    "ceil": Evaluator.ceil,
    "degrees": Evaluator.degrees,
    "!": Evaluator.factorial,
    "!!": Evaluator.double_factorial,
    "binom": Evaluator.binomial,
}
