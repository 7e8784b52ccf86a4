"""The decision on what is not known exactly. Runs only inside a verification worker process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from services.verification import algebra
from services.verification.expression import (
    Call,
    Node,
    Number,
    Symbol,
    UnreadableError,
    expression,
    symbols,
)
from services.verification.guards import unsupported
from services.verification.intervals import same_union
from services.verification.judging import DIFFERENT, EQUAL, Finding, Judge, Judged
from services.verification.labels import sides
from services.verification.number import quantity, split_unit
from services.verification.numeric import compare_values, constant_ratio, different_zeros
from services.verification.policy import RULES, Policy
from services.verification.shapes import shape
from services.verification.sorts import sort_of
from services.verification.spelling import canonical
from services.verification.tolerance import Tolerance
from services.verification.units import unit

_MAX_ALGEBRA = 400
"""Longest text given to sympy's reader, in characters: it takes the square of nonsense to read."""
_OUT_OF_REACH = Judged("undecided", "unsupported:magnitude")
_UNREAD = Judged("undecided", "not_mathematics")
_GOLD_UNREAD = Judged("undecided", "gold_not_mathematics")
_BEYOND_VALUES = re.compile(
    r"\\(?:i{1,3}nt|sum|prod|lim|begin|cup|cap|setminus|mathbb|in|le|ge|ne|frac\{d)(?![A-Za-z])"
    r"|[<>=]|\\\{"
)
"""What only sympy reads: calculus, sets, relations."""


def warm() -> None:
    """Import and exercise everything a comparison needs, so that limits can be set afterwards."""
    algebra.quiet()
    decide(("x+1",), "1+x")
    algebra.equal(algebra.parsed("x+1"), algebra.parsed("1+x"))


def decide(
    golds: tuple[str, ...],
    answer: str,
    *,
    policy: Policy = "reward",
    tolerance: Tolerance | None = None,
) -> Finding:
    """Compare an answer with each gold until one is equal.

    Never returns in bounded time or memory by itself: the caller's limits do that.

    Args:
        golds: accepted answers; any of them will do.
        policy: how much the answer must do.
        tolerance: accepted distance of a number; None for none.

    Raises:
        MemoryError: the comparison ran into the memory limit.
        Exception: whatever math-verify raises on a comparison that it cannot make.
    """
    judge = Judge(RULES[policy], tolerance, _decide_single)
    findings = []
    for gold in golds:
        judged = judge.judge(gold, answer)
        if judged == EQUAL:
            return Finding("correct", judged.reason)
        findings.append(_finding(judged))
    # Accepted answers are spellings of one: what one of them excludes, none admits.
    return next((f for f in findings if f.verdict == "incorrect"), findings[0])


def _finding(judged: Judged) -> Finding:
    if judged.outcome == "different":
        return Finding("incorrect", judged.reason)
    ours = judged.reason in ("gold_not_mathematics", "unsupported:gold")
    return Finding("error" if ours else "unparsable", judged.reason)


def _decide_single(gold: str, answer: str, tolerance: Tolerance | None) -> Judged:
    """Decide about two single values, or whole structures that their parts did not decide."""
    # Equal spellings were found equal before: of a gold that is too big, nothing safe is left.
    why = unsupported(answer) or ("gold" if unsupported(gold) else None)
    if why:
        return Judged("undecided", f"unsupported:{why}")
    if shape(gold).kind == shape(answer).kind == "value":
        found = _single(gold, answer, tolerance)
    else:
        found = _structures(gold, answer)
    return found or _algebra(gold, answer)


def _single(gold: str, answer: str, tolerance: Tolerance | None) -> Judged | None:
    """Compare two single values without sympy; None if only sympy may know."""
    found = _equations(gold, answer) or _values(gold, answer, tolerance)
    if found is not None:
        return found
    wanted, given = sort_of(gold), sort_of(answer)
    if wanted and given and (wanted != given or wanted == "special"):
        return DIFFERENT  # a number and an expression have been compared by now
    if _BEYOND_VALUES.search(gold + answer):
        return None
    return _GOLD_UNREAD if given else _UNREAD


def _structures(gold: str, answer: str) -> Judged | None:
    """Compare what has parts with a single value, or unions; None if only sympy may know."""
    wanted, given = shape(gold), shape(answer)
    if "value" in (wanted.kind, given.kind):
        return DIFFERENT if sort_of(gold if wanted.kind == "value" else answer) else None
    same = same_union(wanted, given)
    return None if same is None else EQUAL if same else DIFFERENT


def _values(gold: str, answer: str, tolerance: Tolerance | None) -> Judged | None:
    """Compare by value; None if one of the two cannot be read."""
    try:
        pairs = list(_pairs(gold, answer))
    except UnreadableError:
        return None
    if any(symbols(a) and not symbols(g) for g, a in pairs):
        return Judged("different", "undefined_symbol")
    outcomes = [compare_values(g, a, tolerance) for g, a in pairs]
    if "equal" in outcomes:
        return EQUAL
    return _OUT_OF_REACH if "undecided" in outcomes else DIFFERENT


def _equations(gold: str, answer: str) -> Judged | None:
    """Compare two equations by their zeros; None if that decides nothing."""
    try:
        left, right = _zero(gold), _zero(answer)
    except UnreadableError:
        return None
    if left is None or right is None:
        return None
    if bool(symbols(left)) != bool(symbols(right)):
        return DIFFERENT  # 0 = 0 says nothing
    if constant_ratio(left, right) is not None:
        return EQUAL
    return DIFFERENT if different_zeros(left, right) else None


def _pairs(gold: str, answer: str) -> Iterator[tuple[Node, Node]]:
    """Read both, and yield what to compare: with their units made the same, if they have any."""
    (g, wanted), (a, given) = split_unit(canonical(gold)), split_unit(canonical(answer))
    left, right = _tree(g), _tree(a)
    if wanted is None or given is None or wanted == given:
        plain = left if wanted else right
        if "deg" not in (wanted, given) or wanted == given or not _in_radians(plain):
            yield left, right
        if "%" in (wanted, given) and wanted != given:
            hundred = Number(Fraction(100))
            yield (
                (left, Call("*", (right, hundred)))
                if wanted
                else (
                    Call("*", (left, hundred)),
                    right,
                )
            )
        elif "deg" in (wanted, given) and wanted != given:
            yield (Call("degrees", (left,)), right) if wanted else (left, Call("degrees", (right,)))
        return
    one, other = unit(wanted), unit(given)
    if "%" in (wanted, given) or (one and other and not one.comparable(other)):
        return
    if one and other:
        left = Call("*", (left, Number(one.factor)))
        right = Call("*", (right, Number(other.factor)))
    yield left, right


def _in_radians(tree: Node) -> bool:
    r"""Whether a value is a multiple of pi, so that it cannot have left out its degree sign."""
    if isinstance(tree, Call):
        parts = tree.args[:1] if tree.head in ("/", "frac") else tree.args
        return any(_in_radians(part) for part in parts)
    return tree == Symbol("pi")


def _tree(text: str) -> Node:
    """Read a number as one (6.6e-34 is no product), anything else by the grammar."""
    known = quantity(text)
    return expression(text) if known is None else Number(known.value)


def _zero(text: str) -> Node | None:
    """Read an equation as what it says is zero; None if it is none."""
    parts = sides(text)
    if len(parts) != 2:
        return None
    left, right = (expression(p) for p in parts)
    return Call("+", (left, Call("-", (right,))))


def _algebra(gold: str, answer: str) -> Judged:
    if max(len(gold), len(answer)) > _MAX_ALGEBRA:
        return Judged("undecided", "unsupported:length")
    given = algebra.parsed(answer)
    if given is None:
        return _UNREAD
    wanted = algebra.parsed(gold)
    if wanted is None:
        return _GOLD_UNREAD
    return EQUAL if algebra.equal(wanted, given) else DIFFERENT
