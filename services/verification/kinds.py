"""What can judge an answer: the verifier of mathematics, or one an administrator has installed.

A verifier is installed as a distribution with an entry point in the group ``laconic.verifiers``;
a request can name it and never brings code. It runs in worker processes under the pool's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, cast, get_args

from algorithms.trajectory import Verdict
from services.verification.judging import Finding
from services.verification.symbolic import decide, warm
from services.verification.tolerance import Tolerance

GROUP: Final = "laconic.verifiers"
MATH: Final = "math"

Referee = Callable[[dict[str, Any]], Finding]
"""From a request, as it travels to a worker, to its finding."""
Verifier = Callable[[Sequence[str], str], object]
"""What an entry point names: from the accepted answers and the whole response to a verdict, or a
pair of a verdict and a reason. It must depend on nothing else, for verdicts are remembered, and
must start no thread when it is imported. What it raises becomes the verdict ``error``."""

_EXERCISES: Final = (
    (r"\sum_{k=1}^{n} k", r"\sum_{j=1}^{n} j"),
    (r"\int_0^1 x dx", r"\int_0^1 y dy"),
    (r"x<3", r"3>x"),
    (r"\{x\mid x>1\}", r"(1,\infty)"),
    (r"\lim_{x\to 0} x", r"\lim_{y\to 0} y"),
    (r"\begin{pmatrix}1&x\end{pmatrix}", r"\begin{pmatrix}1&x+0\end{pmatrix}"),
)
"""Have everything imported and its tables built that an answer may need: a tenth of a second and
more, which each new worker would spend anew."""
VERDICTS: Final = get_args(Verdict)
_MAX_REASON = 200


class UnknownKind(ValueError):
    """No verifier has the name, or more than one has."""


def installed() -> list[str]:
    """Return the names of all verifiers there are, ``math`` first."""
    return [MATH, *sorted({e.name for e in entry_points(group=GROUP)} - {MATH})]


def check(kind: str) -> None:
    """Do nothing if exactly one verifier has the name; nothing is imported.

    Raises:
        UnknownKind: with what is installed.
    """
    if kind != MATH:
        _entry_point(kind)


def load(kind: str) -> Referee:
    """Import and warm up a verifier.

    Raises:
        UnknownKind: no verifier has the name, or more than one has.
        Exception: whatever importing an installed verifier raises.
    """
    if kind == MATH:
        warm()
        for gold, answer in _EXERCISES:
            decide((gold,), answer)
        return _judge_mathematics
    return _judge_with(_entry_point(kind).load())


def _entry_point(kind: str) -> EntryPoint:
    found = {
        (e.value, e.dist.name if e.dist else "?"): e
        for e in entry_points(group=GROUP)
        if e.name == kind
    }
    if len(found) > 1:
        owners = ", ".join(sorted(owner for _, owner in found))
        raise UnknownKind(f"more than one verifier is called {kind!r} ({owners}); uninstall one")
    if not found or kind == MATH:
        raise UnknownKind(
            f"no verifier {kind!r} is installed; there are {', '.join(installed())} (others are "
            f"installed as entry points of the group {GROUP})"
        )
    return next(iter(found.values()))


def _judge_mathematics(request: dict[str, Any]) -> Finding:
    bounds = request["tolerance"]
    return decide(
        tuple(request["golds"]),
        request["answer"],
        policy=request["policy"],
        tolerance=Tolerance(*bounds) if bounds else None,
    )


def _judge_with(verifier: Verifier) -> Referee:
    def judge(request: dict[str, Any]) -> Finding:
        found = verifier(tuple(request["golds"]), request["answer"])
        verdict, reason = found if isinstance(found, tuple) and len(found) == 2 else (found, "")
        if verdict not in VERDICTS:
            return Finding("error", "not_a_verdict")
        return Finding(cast(Verdict, verdict), str(reason or verdict)[:_MAX_REASON])

    return judge
