"""Grading policies: what an answer must do to be paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Policy = Literal["reward", "eval", "thinkless-parity"]
"""``reward`` is strict, ``eval`` grades as a person would, ``thinkless-parity`` is inflated."""


@dataclass(frozen=True)
class Rules:
    """What a policy decides; everything else is the same for all of them."""

    int_gold_literal: bool
    """An integer is answered with its digits: neither 2^{10} nor \\frac{8}{2} will do."""
    finished_arithmetic: bool
    """A number is not answered with sums, differences, products and quotients of numbers."""
    interval_as_inequality: bool
    """[-2,7] and -2 \\le x \\le 7 are the same answer."""
    unboxed: bool
    """Without any box, a final statement after the thinking counts: "The answer is 42."."""
    first_number: bool
    """An answer whose first number is that of the accepted answer is right."""

    def for_steps(self) -> Rules:
        """Return the rules for the members of an equality chain, which may be calculations."""
        return replace(self, int_gold_literal=False, finished_arithmetic=False)


RULES: dict[Policy, Rules] = {
    # The two notations of an interval cost the same, so even a policy that is trained on this has
    # nothing to gain from either.
    "reward": Rules(
        int_gold_literal=True,
        finished_arithmetic=True,
        interval_as_inequality=True,
        unboxed=False,
        first_number=False,
    ),
    "eval": Rules(
        int_gold_literal=False,
        finished_arithmetic=True,
        interval_as_inequality=True,
        unboxed=True,
        first_number=False,
    ),
    "thinkless-parity": Rules(
        int_gold_literal=False,
        finished_arithmetic=False,
        interval_as_inequality=False,
        unboxed=False,
        first_number=True,
    ),
}
