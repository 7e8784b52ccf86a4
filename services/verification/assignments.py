"""Values given by name, ``x=1, y=2``, as the tuple that they are."""

from __future__ import annotations

import re

from services.verification.shapes import Shape, shape
from services.verification.spelling import canonical

_ONE = re.compile(r"([A-Za-z]|\\[a-z]+)=([^=]+)")
_TUPLE = re.compile(r"\(((?:[A-Za-z],)+[A-Za-z])\)=(\(.+\))", re.DOTALL)
_AXES = ("x", "y", "z")
"""Names whose order is known without the question."""


def in_order(gold: str, answer: str) -> tuple[str, str] | None:
    """Write both as tuples without names, where one at least names its values and is ordered.

    Names of both sides must be the same. Of one side only, those of the axes are put in their
    order, others stay as they are written. None where nothing of this applies: ``x=1, x=2`` and
    ``x_1=1, x_2=2`` are values without an order, and so is a bare ``1, 2`` as accepted answer.
    """
    a, b = _assigned(gold), _assigned(answer)
    if a and b:
        return (_tuple(a, list(a)), _tuple(b, list(a))) if set(a) == set(b) else None
    if b and _is_tuple(shape(gold)):
        return gold, _tuple(b, _order(b))
    if a and (shape(answer).kind in ("list", "set") or _is_tuple(shape(answer))):
        return _tuple(a, _order(a)), answer
    return None


def _assigned(text: str) -> dict[str, str] | None:
    """Return values by name, in the order they are written in; None if there are not several."""
    if "=" not in text:
        return None
    if found := _TUPLE.fullmatch(canonical(text)):
        names, values = found[1].split(","), shape(found[2])
        pairs = list(zip(names, values.parts, strict=False)) if _is_tuple(values) else []
        complete = len(pairs) == len(names) == len(values.parts)
    else:
        parts = shape(text)
        matches = [_ONE.fullmatch(p) for p in parts.parts] if parts.kind == "list" else []
        pairs = [(m[1], m[2]) for m in matches if m]
        complete = len(pairs) == len(matches)
    named = dict(pairs)
    return named if complete and 1 < len(named) == len(pairs) else None


def _is_tuple(found: Shape) -> bool:
    return found.kind == "tuple" and found.form == "()"


def _order(named: dict[str, str]) -> list[str]:
    return sorted(named) if set(named) <= set(_AXES) else list(named)


def _tuple(named: dict[str, str], names: list[str]) -> str:
    return f"({','.join(named[n] for n in names)})"
