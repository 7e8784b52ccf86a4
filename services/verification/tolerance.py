"""How far a numeric answer may lie from the accepted one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Tolerance:
    """Accepted distance of an answer: ``max(absolute, relative * |accepted answer|)``.

    Raises:
        ValueError: a bound is negative or not finite, or the relative one is 1 or more.
    """

    absolute: float = 0.0
    """In the unit of the accepted answer."""
    relative: float = 0.0
    """As a share of the accepted answer; 0.01 is one percent."""

    def __post_init__(self) -> None:
        for name, value in (("absolute", self.absolute), ("relative", self.relative)):
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"tolerance.{name} is {value}; give a finite number from 0 on")
        if self.relative >= 1:
            raise ValueError(
                f"tolerance.relative is {self.relative}, which accepts 0 for everything; "
                "give a share below 1 (0.01 is one percent)"
            )

    def accepts(self, gold: Fraction, answer: Fraction) -> bool:
        """Whether the answer is near enough to the accepted one, both ends included."""
        # By their shortest decimals: a tolerance of 0.1 accepts a distance of exactly 1/10.
        absolute, relative = Fraction(repr(self.absolute)), Fraction(repr(self.relative))
        return abs(gold - answer) <= max(absolute, relative * abs(gold))
