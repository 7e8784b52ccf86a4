r"""Inequalities in one variable as intervals: ``-2 \le x < 7`` and ``[-2,7)``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from services.verification.number import quantity
from services.verification.spelling import canonical
from services.verification.top_level import split

_RELATION = re.compile(r"\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z])|<|>")
_OR = re.compile(r",?\s*(?:\\text\{\s*or\s*\}|\\lor(?![A-Za-z])|(?<![A-Za-z\\])or(?![A-Za-z]))")
_AND = re.compile(
    r",?\s*(?:\\text\{\s*and\s*\}|\\land(?![A-Za-z])|(?<![A-Za-z\\])and(?![A-Za-z]))|,"
)
_VARIABLE = re.compile(r"[A-Za-z](?:_\{[^{}]*\})?|\\[a-z]+")
_BUILDER = re.compile(
    r"\\\{([A-Za-z])(?:\\in\\mathbb\{R\})?(?:\||:|\\colon)(?:\1\\in\\mathbb\{R\},)?(.+)\\\}"
)
_WITHOUT = re.compile(r"\\mathbb\{R\}\\(?:setminus|backslash)\\\{([^,{}]+)\\\}")
_DISTANCE = re.compile(r"\|([A-Za-z])(?:([+-])([^|]+))?\|")
_FLIP = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le", r"\ne": r"\ne"}
_LOW, _HIGH = r"-\infty", r"\infty"


@dataclass(frozen=True)
class Region:
    """What an inequality says about its variable."""

    variable: str | None
    interval: str
    """An interval or a union of intervals, as text."""


@lru_cache(maxsize=4096)
def region(text: str) -> Region | None:
    """Read inequalities in one variable, or a set given by them; None for anything else."""
    s = canonical(text)
    if found := _WITHOUT.fullmatch(s):
        return Region(None, _union([rf"({_LOW},{found[1]})", rf"({found[1]},{_HIGH})"]))
    if found := _BUILDER.fullmatch(s):
        inner = region(found[2])
        return inner if inner and inner.variable == found[1] else None
    if not _RELATION.search(s):
        return None
    regions = [_both([_single(p) for p in split(part, _AND)]) for part in split(s, _OR)]
    found_all = [r for r in regions if r is not None]
    if len(found_all) < len(regions) or len({r.variable for r in found_all}) != 1:
        return None
    return Region(found_all[0].variable, _union([r.interval for r in found_all]))


def _union(intervals: list[str]) -> str:
    return r"\cup".join(intervals)


def _single(text: str) -> Region | None:
    """Read ``x < a``, ``a > x``, ``x \\ne a`` or ``a < x \\le b``."""
    parts, signs = split(text, _RELATION), _RELATION.findall(text)
    if len(parts) != len(signs) + 1 or not all(parts):
        return None
    if len(parts) == 2:
        left, right = parts
        sign = signs[0]
        if _VARIABLE.fullmatch(right) and not _VARIABLE.fullmatch(left):
            left, right, sign = right, left, _FLIP[sign]
        if found := _DISTANCE.fullmatch(left):
            return _around(found, sign, right)
        return Region(left, _half_line(sign, right)) if _VARIABLE.fullmatch(left) else None
    if len(parts) != 3 or not _VARIABLE.fullmatch(parts[1]) or r"\ne" in signs:
        return None
    low, variable, high = parts
    first, second = signs
    if first in (">", r"\ge"):
        low, high, first, second = high, low, _FLIP[second], _FLIP[first]
    if first not in ("<", r"\le") or second not in ("<", r"\le"):
        return None
    opening, end = "(" if first == "<" else "[", ")" if second == "<" else "]"
    return Region(variable, f"{opening}{low},{high}{end}")


def _around(distance: re.Match[str], sign: str, bound: str) -> Region | None:
    """Read ``|x - a| < b`` or ``|x - a| \\ge b`` with a positive number b."""
    variable, side, shift = distance.groups()
    centre, radius = quantity(shift or "0"), quantity(bound)
    if centre is None or radius is None or radius.value <= 0 or centre.unit or radius.unit:
        return None
    middle = -centre.value if side == "+" else centre.value
    low, high = str(middle - radius.value), str(middle + radius.value)
    if sign in ("<", r"\le"):
        opening, end = "()" if sign == "<" else "[]"
        return Region(variable, f"{opening}{low},{high}{end}")
    if sign == r"\ne":
        return None
    opening, end = "()" if sign == ">" else "[]"
    return Region(variable, _union([f"({_LOW},{low}{end}", f"{opening}{high},{_HIGH})"]))


def _half_line(sign: str, bound: str) -> str:
    if sign == r"\ne":
        return _union([f"({_LOW},{bound})", f"({bound},{_HIGH})"])
    if sign in ("<", r"\le"):
        return f"({_LOW},{bound}" + (")" if sign == "<" else "]")
    return ("(" if sign == ">" else "[") + f"{bound},{_HIGH})"


def _both(regions: list[Region | None]) -> Region | None:
    """Read ``x > a and x < b``: a lower and an upper bound of the same variable."""
    known = [r for r in regions if r is not None]
    if len(known) < len(regions) or len(known) > 2 or len({r.variable for r in known}) > 1:
        return None
    if len(known) == 1:
        return known[0]
    above, below = f",{_HIGH})", f"({_LOW},"
    lower = next((r.interval for r in known if r.interval.endswith(above)), None)
    upper = next((r.interval for r in known if r.interval.startswith(below)), None)
    if lower is None or upper is None or lower == upper or r"\cup" in lower + upper:
        return None
    return Region(known[0].variable, f"{lower.removesuffix(above)},{upper.removeprefix(below)}")
