"""Symbolic comparison with math-verify. Runs only inside a verification worker process."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from algorithms.trajectory import Verdict
from services.verification.guards import unsupported
from services.verification.hedges import refusal, stripped
from services.verification.policy import Policy
from services.verification.tolerance import Tolerance


@dataclass(frozen=True)
class Finding:
    """Verdict on one answer with its machine-readable reason."""

    verdict: Verdict
    reason: str


def warm() -> None:
    """Import and exercise everything a comparison needs, so that limits can be set afterwards."""
    # It warns that its own alarms are off: ours is the pool's SIGKILL.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    decide(("x+1",), "1+x")


def decide(
    golds: tuple[str, ...],
    answer: str,
    *,
    policy: Policy = "reward",
    tolerance: Tolerance | None = None,
) -> Finding:
    """Compare an answer with each gold until one is equal.

    Never returns in bounded time or memory by itself: the caller's limits do that.

    Raises:
        MemoryError: the comparison ran into the memory limit.
        Exception: whatever math-verify raises on a comparison that it cannot make.
    """
    if why := unsupported(answer):
        return Finding("unparsable", f"unsupported:{why}")
    findings = [_decide_one(gold, answer) for gold in golds]
    return next((f for f in findings if f.verdict == "correct"), findings[0])


def _decide_one(gold: str, answer: str) -> Finding:
    if unsupported(gold):
        # Equal spellings were found equal before: there is nothing safe left to try.
        return Finding("unparsable", "unsupported:gold")
    if why := refusal(gold, answer):
        return Finding("incorrect", why)
    left, right = stripped(gold, answer)
    target = _parse(right)
    if not target:
        return Finding("unparsable", "not_mathematics")
    reference = _parse(left)
    if not reference:
        return Finding("error", "gold_not_mathematics")
    from math_verify import verify

    equal = verify(
        list(reference),
        list(target),
        strict=True,
        allow_set_relation_comp=True,
        timeout_seconds=None,
        raise_on_error=True,
    )
    return Finding("correct", "equal") if equal else Finding("incorrect", "different")


@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[Any, ...]:
    """Parse one answer, boxed anew so that nothing outside of it is read.

    Only the LaTeX grammar is used: math-verify's plain-expression reader evaluates its input.
    """
    from math_verify import LatexExtractionConfig, parse

    config = LatexExtractionConfig(boxed_match_priority=0)
    boxed = f"\\boxed{{{text}}}"
    return tuple(parse(boxed, [config], extraction_mode="first_match", parsing_timeout=None))
