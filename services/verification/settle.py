"""What can be decided about a response at once: in this process, in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from algorithms.trajectory import Verdict
from services.verification.extract import MAX_ANSWER, extract
from services.verification.guards import unsupported
from services.verification.judging import EQUAL, UNDECIDED, Finding, Judge
from services.verification.policy import RULES, Policy
from services.verification.statement import first_number
from services.verification.tolerance import Tolerance

_MAX_GOLDS = 8
_MAX_IN_PLACE = 512
"""Longest answer decided in this process, in characters: the structure of a crafted one takes the
square of its length to read."""
_EXACT: dict[Policy, Judge] = {
    policy: Judge(rules, None, lambda *_: UNDECIDED) for policy, rules in RULES.items()
}


@dataclass(frozen=True)
class Settled:
    """A verdict that needed no algebra."""

    verdict: Verdict
    reason: str
    well_formed: bool


@dataclass(frozen=True)
class Open:
    """What is left for :func:`services.verification.symbolic.decide`, in a worker process."""

    golds: tuple[str, ...]
    """The accepted answers that are undecided."""
    answer: str
    well_formed: bool


def settle(
    golds: tuple[str, ...],
    output: str,
    policy: Policy = "reward",
    tolerance: Tolerance | None = None,
) -> Settled | Open:
    """Decide a response without algebra, or say what is left to decide.

    Args:
        golds: the accepted answers; any of them will do.
        output: the whole response.
        policy: how much the answer must do.
        tolerance: accepted distance of a number; None for none.
    """
    found = extract(output, policy)
    given = tuple(g for g in golds if g.strip())
    if found.answer is None:
        return Settled("unparsable", found.reason, found.well_formed)
    if not given:
        return Settled("error", "no_gold", found.well_formed)
    verdict = _decided(given, found.answer, policy, tolerance)
    if isinstance(verdict, Finding):
        return Settled(verdict.verdict, verdict.reason, found.well_formed)
    return Open(verdict, found.answer, found.well_formed)


def _decided(
    golds: tuple[str, ...], answer: str, policy: Policy, tolerance: Tolerance | None
) -> Finding | tuple[str, ...]:
    """Return the verdict on an answer, or the accepted answers that are left to compare it with."""
    judge = _EXACT[policy] if tolerance is None else replace(_EXACT[policy], tolerance=tolerance)
    if len(answer) <= _MAX_IN_PLACE:
        judged = [judge.judge(g, answer) for g in golds]
    else:
        judged = [EQUAL if g.strip() == answer else UNDECIDED for g in golds]
    if EQUAL in judged:
        return Finding("correct", "equal")
    if RULES[policy].first_number and _first_number_agrees(golds, answer):
        return Finding("correct", "first_number")
    left = tuple(g for g, j in zip(golds, judged, strict=True) if j == UNDECIDED)
    if not left:
        return Finding("incorrect", judged[0].reason)
    if why := unsupported(answer):
        return Finding("unparsable", f"unsupported:{why}")
    if len(left) > _MAX_GOLDS or any(len(g) > MAX_ANSWER for g in left):
        return Finding("error", "gold_too_large")
    return left


def _first_number_agrees(golds: tuple[str, ...], answer: str) -> bool:
    """Whether the first number of an answer is that of an accepted one, whatever else they say."""
    given = first_number(answer)
    return given is not None and any(
        (wanted := first_number(g)) is not None and float(wanted) == float(given) for g in golds
    )
