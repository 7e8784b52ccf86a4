"""How two answers are compared, whatever decides about single values: exactly, or by algebra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from algorithms.trajectory import Verdict
from services.verification.assignments import in_order
from services.verification.exact import Outcome, compare
from services.verification.hedges import is_decimal, last_place, refusal, rounding, unevaluated
from services.verification.labels import approximated, bare, unlabelled
from services.verification.number import marked_unit, quantity
from services.verification.policy import Rules
from services.verification.regions import region
from services.verification.shapes import compare_shapes, shape
from services.verification.spelling import canonical
from services.verification.tolerance import Tolerance
from services.verification.words import choice

_MAX_DEPTH = 6
_ROUNDED = Tolerance(relative=0.01)
"""How far a value may lie from the one it is said to round."""


@dataclass(frozen=True)
class Finding:
    """Verdict on one answer with its machine-readable reason."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Judged:
    """Outcome of a comparison with its machine-readable reason."""

    outcome: Outcome
    reason: str


EQUAL = Judged("equal", "equal")
DIFFERENT = Judged("different", "different")
UNDECIDED = Judged("undecided", "undecided")

Decider = Callable[[str, str, Tolerance | None], Judged]
"""Decides about two answers that are not known exactly."""


@dataclass(frozen=True)
class Judge:
    """Compares answers: layout, names, hedges and structure here, single values by a decider."""

    rules: Rules
    tolerance: Tolerance | None
    decide: Decider
    """For what is not known exactly; it gets the tolerance too."""
    depth: int = 0

    def judge(self, gold: str, answer: str) -> Judged:
        """Compare an answer with one accepted answer."""
        if self.depth > _MAX_DEPTH:
            return UNDECIDED
        if self.tolerance is None and (near := rounding(gold, answer)):
            return self._inner(tolerance=near).judge(gold, answer)
        outcome = compare(gold, answer, self.tolerance)
        if outcome == "equal":
            why = refusal(gold, answer, self.rules)
            return Judged("different", why) if why else EQUAL
        return DIFFERENT if outcome == "different" else self._open(gold, answer)

    def _open(self, gold: str, answer: str) -> Judged:
        """Judge an answer that is not known exactly as a whole."""
        wanted = quantity(gold)
        if wanted and wanted.unit and (marked := marked_unit(answer, wanted.unit)):
            return self._inner().judge(gold, marked)
        if unevaluated(gold, answer):
            return Judged("different", "unevaluated")
        values = approximated(answer)
        if len(values) > 1:
            return self._rounded(gold, values)
        return self._structured(gold, _without_choice(gold, values[0] if values else answer))

    def _rounded(self, gold: str, values: list[str]) -> Judged:
        r"""Judge an answer that gives a rounded value too: ``1/3 \approx 0.33``.

        The exact one counts, or the rounded one if the accepted answer is a decimal and it is
        the exact one rounded.
        """
        near = self._inner(rules=self.rules.for_steps(), tolerance=_ROUNDED)
        steps = [near.judge(values[0], v) for v in values[1:]]
        if any(s.outcome == "different" for s in steps):
            return Judged("different", "several_values")
        found = self._inner().judge(gold, values[0])
        half = last_place(values[-1])
        if found.outcome == "different" and is_decimal(gold) and half is not None:
            steps.append(replace(near, tolerance=half).judge(values[0], values[-1]))
            found = self._inner().judge(gold, values[-1])
        if found != EQUAL or all(s == EQUAL for s in steps):
            return found
        return UNDECIDED if UNDECIDED in steps else Judged("different", "several_values")

    def _inner(self, **changes: Any) -> Judge:
        return replace(self, depth=self.depth + 1, **changes)

    def _structured(self, gold: str, answer: str) -> Judged:
        if (tuples := in_order(gold, answer)) is not None:
            gold, answer = tuples
        regions = self._regions(gold, answer)
        if isinstance(regions, Judged):
            return regions
        gold, answer = regions
        if shape(gold).kind == shape(answer).kind == "value":
            return self._value(gold, answer)
        # A name may stand in front of the one that is written as a whole: x \in [0,1).
        gold = bare(gold) if shape(gold).kind == "value" else gold
        answer = bare(answer) if shape(answer).kind == "value" else answer
        wanted, given = shape(gold), shape(answer)
        inner = self._inner()
        outcome = compare_shapes(wanted, given, lambda g, a: inner.judge(g, a).outcome)
        if outcome == "equal":
            return EQUAL
        if outcome == "undecided":
            return self.decide(gold, answer, self.tolerance)
        several = wanted.kind == "value" and given.kind == "list"
        return Judged("different", "several_values" if several else "different")

    def _regions(self, gold: str, answer: str) -> tuple[str, str] | Judged:
        """Write both as intervals where one at least is an inequality that can be."""
        a, b = region(gold), region(answer)
        if a is None and b is None:
            return gold, answer
        if a and b:
            if None not in (a.variable, b.variable) and a.variable != b.variable:
                return DIFFERENT
            return a.interval, b.interval
        other = shape(bare(answer if a else gold))
        if other.kind not in ("tuple", "union"):
            return gold, answer
        if not self.rules.interval_as_inequality:
            return Judged("different", "other_notation")
        return (a.interval if a else gold), (b.interval if b else answer)

    def _value(self, gold: str, answer: str) -> Judged:
        """Compare two single values: names first, then hedges, then what they are worth."""
        plain = unlabelled(gold, answer)
        if plain.refused:
            return Judged("different", plain.refused)
        steps = self._steps(plain.chain, plain.answer)
        if steps.outcome == "different":
            return Judged("different", "chain_differs")
        if (plain.gold, plain.answer) != (canonical(gold), canonical(answer)):
            found = self._inner().judge(plain.gold, plain.answer)
        elif why := refusal(gold, answer, self.rules):
            found = Judged("different", why)
        else:
            found = self.decide(gold, answer, self.tolerance)
        return UNDECIDED if found == EQUAL and steps.outcome == "undecided" else found

    def _steps(self, chain: tuple[str, ...], value: str) -> Judged:
        """Judge whether every member of an equality chain is worth the last."""
        inner = self._inner(rules=self.rules.for_steps())
        found = [inner.judge(value, member) for member in chain]
        return next((f for f in found if f != EQUAL), EQUAL)


def _without_choice(gold: str, answer: str) -> str:
    r"""Drop the letter of ``(C) 12`` where the accepted answer is a number."""
    if quantity(gold) is None:
        return answer
    named = choice(answer)
    return named[1] if named and named[1] else answer
