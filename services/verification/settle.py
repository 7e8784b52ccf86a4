"""What can be decided about a response at once: in this process, in microseconds."""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.trajectory import Verdict
from services.verification.exact import compare
from services.verification.extract import MAX_ANSWER, extract
from services.verification.policy import Policy
from services.verification.tolerance import Tolerance

_MAX_GOLDS = 8


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
    found = extract(output)
    if found.answer is None:
        return Settled("unparsable", found.reason, found.well_formed)
    given = tuple(g for g in golds if g.strip())
    if not given:
        return Settled("error", "no_gold", found.well_formed)
    outcomes = [compare(g, found.answer) for g in given]
    if "equal" in outcomes:
        return Settled("correct", "equal", found.well_formed)
    left = tuple(g for g, o in zip(given, outcomes, strict=True) if o == "undecided")
    if not left:
        return Settled("incorrect", "different", found.well_formed)
    if len(left) > _MAX_GOLDS or any(len(g) > MAX_ANSWER for g in left):
        return Settled("error", "gold_too_large", found.well_formed)
    return Open(left, found.answer, found.well_formed)
