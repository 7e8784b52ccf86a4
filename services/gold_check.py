"""Questions that no response can be paid for: their accepted answers fail against themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from algorithms.trajectory import Judgement
from services.question import Question
from services.spec.job import VerifierSpec
from services.verification.gold_audit import BatchJudge, audit
from services.verification.pool import VerificationPool

LISTED: Final = 10
"""Questions named in a message."""

_CHUNK = 4
"""Answers given to each worker between two looks at the clock."""
_NOT_REACHED = Judgement("timeout", "audit_out_of_time", False)


@dataclass(frozen=True)
class BadGold:
    """A question whose accepted answers all fail against themselves."""

    question_id: str
    gold: tuple[str, ...]
    reason: str
    """Of the first of them: ``string_only`` (cannot be read, so that only the very same text would
    pay), ``empty``, or the verdict and its reason."""


@dataclass(frozen=True)
class GoldCheck:
    """What came of a check."""

    bad: tuple[BadGold, ...]
    undecided: int
    """Questions about which the verifier failed or time ran out: taken for good."""


def check_golds(questions: Sequence[Question], judge: BatchJudge) -> GoldCheck:
    """Verify accepted answers against themselves; a question is good if one of them passes.

    Args:
        judge: decides about the answers that need algebra; a verdict ``timeout`` or ``error``
            leaves the question undecided.
    """
    report = audit({q.id: q.gold for q in questions}, judge)
    failed: dict[str, list[str]] = {}
    for finding in report.unverified:
        failed.setdefault(finding.question_id, []).append(finding.reason)
    bad, undecided = [], 0
    for question in questions:
        reasons = failed.get(question.id, [])
        if len(reasons) < len(question.gold):
            continue
        if any(r.partition(":")[0] in ("timeout", "error") for r in reasons):
            undecided += 1
        else:
            bad.append(BadGold(question.id, question.gold, reasons[0]))
    return GoldCheck(tuple(bad), undecided)


def check_with_pool(
    questions: Sequence[Question],
    spec: VerifierSpec,
    seconds: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> GoldCheck:
    """:func:`check_golds` with a pool of its own, which starts if an answer needs algebra.

    Args:
        seconds: after which what is left counts as undecided; an answer in hand may still take
            its own limit.
        progress: told after every few answers how many of them are through; may raise.
    """

    def judge(items: Sequence[tuple[tuple[str, ...], str]]) -> list[Judgement]:
        deadline, size = time.monotonic() + seconds, _CHUNK * spec.workers
        done: list[Judgement] = []
        with VerificationPool(spec.workers, spec.timeout_seconds, spec.memory_mib) as pool:
            while len(done) < len(items) and time.monotonic() < deadline:
                done += pool.judge(items[len(done) : len(done) + size])
                progress(len(done), len(items))
        return done + [_NOT_REACHED] * (len(items) - len(done))

    return check_golds(questions, judge)


def listing(bad: Sequence[BadGold]) -> str:
    """The first of them in words."""
    named = [f"{b.question_id!r} ({b.gold[0]!r}: {b.reason})" for b in bad[:LISTED]]
    more = f" and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
    return ", ".join(named) + more
