"""Checks against answers that win by hedging or restating instead of answering."""

from __future__ import annotations

import re

from services.verification.exact import compare, quantity

_ASSIGNED = re.compile(
    r"\s*(?:\\[A-Za-z]+|[A-Za-z])(?:_(?:\{[^{}]*\}|\w))?(?:\([A-Za-z, ]{0,20}\))?\s*"
)
_OR = r"\\text\s*\{\s*(?:or|and)\s*\}|\\(?:lor|land|vee|wedge)(?![A-Za-z])|\bor\b|\band\b"
_PARTS = re.compile(rf"[;,]|{_OR}")
_ARITHMETIC = re.compile(
    r"[+*!^]|(?<=[0-9A-Za-z)}\]])\s*[-/]|\\(?:times|cdot|div|binom|pm|mp)(?![A-Za-z])"
)
_APPROX = re.compile(r"\\approx(?![A-Za-z])|≈")


def refusal(gold: str, answer: str) -> str | None:
    """Return why an answer is wrong whatever its algebraic value, or None.."""
    answer = _first_value(answer)
    wanted = quantity(gold)
    members = _members(answer)
    if len(members) > 1 and not all(compare(members[0], m) == "equal" for m in members[1:]):
        return "chain_differs"
    if wanted is not None:
        if len([p for p in _PARTS.split(answer) if p.strip()]) > 1 and quantity(answer) is None:
            return "several_values"
        literal = members[-1] if members else answer
        if wanted.value.denominator == 1 and not quantity(literal) and _ARITHMETIC.search(literal):
            return "not_a_literal"
    if "=" in gold and "=" not in answer and not _assignment(gold):
        return "not_an_equation"
    return None


def stripped(gold: str, answer: str) -> tuple[str, str]:
    """Return both without a name in front (``x =``) that only one of them has."""
    gold, answer = gold.strip().strip("$").strip(), _first_value(answer)
    if "=" in gold and "=" not in answer:
        gold = _values(gold) or gold
    elif "=" in answer and "=" not in gold:
        answer = _values(answer) or answer
    return gold, answer


def _values(text: str) -> str | None:
    """Return the values of ``x = 1 or x = 2`` as a list, if one name is given them all."""
    parts = [p for p in _PARTS.split(text) if p.strip()]
    names = {p.split("=")[0].strip() for p in parts}
    values = [_assignment(p) for p in parts]
    if len(names) > 1 or not all(values):
        return _assignment(text)
    return ", ".join(v for v in values if v)


def _first_value(answer: str) -> str:
    """Drop a rounded value given after the exact one."""
    head, *tail = _APPROX.split(answer, maxsplit=1)
    return tail[0] if tail and _ASSIGNED.fullmatch(head) else head.strip()


def _assignment(text: str) -> str | None:
    """Return what a single name is set equal to, if the text is an assignment."""
    name, *values = text.strip("$ \n").split("=")
    return values[-1].strip() if values and _ASSIGNED.fullmatch(name) else None


def _members(answer: str) -> list[str]:
    """Return the members of an equality chain, without a name in front; [] if it is none."""
    if "=" not in answer or _PARTS.search(answer) or re.search(r"[<>]|\\(?:le|ge|ne)", answer):
        return []
    first, *rest = answer.split("=")
    return rest if _ASSIGNED.fullmatch(first) else [first, *rest] if len(rest) > 1 else []
