"""The shape of an answer: one value, a list, a set, a tuple or interval, a union, a matrix."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from services.verification.exact import Outcome
from services.verification.number import quantity
from services.verification.spelling import canonical
from services.verification.top_level import closing, split
from services.verification.words import constant

Pair = Callable[[str, str], Outcome]
Kind = Literal["value", "list", "set", "tuple", "union", "matrix"]

MAX_PARTS = 64
"""Parts of one answer that are looked at: comparing sets takes the square of it."""
_MAX_SIGNS = 3

_LIST = re.compile(
    r"[,;]?\s*(?:\\text\{,?\s*(?:or|and)\}|\\lor(?![A-Za-z])|\\land(?![A-Za-z])"
    r"|(?<![A-Za-z\\{])(?:or|and)(?![A-Za-z]))|[,;]|\\text\{[,;]\}"
)
_COMMA = re.compile(r"[,;]")
_UNION = re.compile(r"\\cup(?![A-Za-z])")
_AMPERSAND = re.compile(r"&")
_ROW = re.compile(r"\\\\")
_MATRIX = re.compile(
    r"\\begin\{(p|b|B|small)?(?:matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1?(?:matrix|array)\}",
    re.DOTALL,
)
_SIGN = re.compile(r"\\(?:pm|mp)(?![A-Za-z])\s*")
_THOUSANDS = re.compile(r"([+-]?[0-9]{1,3}(?:,[0-9]{3})+)(?=[\\A-Za-z])(.*)", re.DOTALL)
_BUILDER = re.compile(r"[|:]|\\colon")


@dataclass(frozen=True)
class Shape:
    """How an answer is built of parts."""

    kind: Kind
    parts: tuple[str, ...]
    """Texts of the parts; of a matrix, row by row."""
    form: str = ""
    """Brackets of a tuple or interval, e.g. ``[)``; the columns of a matrix."""


@lru_cache(maxsize=8192)
def shape(text: str) -> Shape:
    """Read the outermost structure of a text."""
    if quantity(text) is not None:
        return Shape("value", (text,))
    s = canonical(text)
    if found := _THOUSANDS.fullmatch(s):
        s = found[1].replace(",", "") + found[2]
    parts = _expanded([p for p in split(s, _LIST) if p])
    if len(parts) > 1:
        if len(split(s, _LIST)) == 1 and (inner := _bracketed(s)) and inner.kind == "set":
            return inner
        return Shape("list", parts)
    s = parts[0] if parts else s
    if len(pieces := split(s, _UNION)) > 1:
        return Shape("union", tuple(pieces))
    return _matrix(s) or _bracketed(s) or Shape("value", (s,))


def _bracketed(s: str) -> Shape | None:
    if closing(s) != len(s):
        return None
    if s.startswith(r"\{") and s.endswith(r"\}"):
        inner = s[2:-2]
        if _BUILDER.search(inner):
            return None
        return Shape("set", _expanded([p for p in split(inner, _COMMA) if p]))
    for opening, end in ((r"\langle", r"\rangle"), ("(", ")"), ("(", "]"), ("[", ")"), ("[", "]")):
        if s.startswith(opening) and s.endswith(end):
            parts = split(s[len(opening) : -len(end)], _COMMA)
            form = "()" if opening == r"\langle" else opening + end
            return Shape("tuple", tuple(parts), form) if len(parts) > 1 else None
    return None


def _matrix(s: str) -> Shape | None:
    found = _MATRIX.fullmatch(s)
    if found is None:
        return None
    rows = [split(r, _AMPERSAND) for r in split(found[2], _ROW) if r]
    if not rows or len({len(r) for r in rows}) > 1:
        return None
    return Shape("matrix", tuple(itertools.chain(*rows)), str(len(rows[0])))


def _expanded(parts: Sequence[str]) -> tuple[str, ...]:
    r"""Replace ``a \pm b`` by its values; ``\mp`` takes the opposite of the sign of ``\pm``."""
    return tuple(itertools.chain.from_iterable(_values(p) for p in parts))


def _values(part: str) -> list[str]:
    signs = _SIGN.findall(part)
    if not 0 < len(signs) <= _MAX_SIGNS:
        return [part]
    if any("mp" in sign for sign in signs):
        rows = [["-+"[("pm" in sign) == plus] for sign in signs] for plus in (True, False)]
    else:
        rows = [list(row) for row in itertools.product("+-", repeat=len(signs))]
    return [_with_signs(part, row).removeprefix("+") for row in rows]


def _with_signs(part: str, row: list[str]) -> str:
    turn = iter(row)
    return _SIGN.sub(lambda _: next(turn), part)


def compare_shapes(gold: Shape, answer: Shape, pair: Pair) -> Outcome:
    """Compare two answers of which one at least has parts.

    Args:
        pair: compares two parts.

    A list, a set and a single value compare as sets; a tuple or interval in order, brackets
    included; a tuple may be answered without its brackets. A set is no tuple.
    """
    if max(len(gold.parts), len(answer.parts)) > MAX_PARTS:
        return "undecided"
    kinds = {gold.kind, answer.kind}
    if kinds <= {"value", "list", "set"} or kinds == {"union"}:
        nested = "set" in kinds and (_is_set(gold) or _is_set(answer))
        return "different" if nested else _unordered(gold.parts, answer.parts, pair)
    if kinds == {"tuple", "list"} and (gold if gold.kind == "tuple" else answer).form == "()":
        if gold.kind == "tuple":
            return _ordered(gold.parts, answer.parts, pair)
        return _unordered(gold.parts, answer.parts, pair)
    if gold.kind == answer.kind and gold.form == answer.form:
        return _ordered(gold.parts, answer.parts, pair)
    # An interval may be the union of two, an expression may be a matrix when worked out.
    open_kinds = ({"union", "tuple"}, {"matrix", "value"}, {"union", "value"}, {"tuple", "value"})
    return "undecided" if kinds in open_kinds else "different"


def _is_set(found: Shape) -> bool:
    r"""Whether a value is a set: ``\emptyset`` is not ``\{\emptyset\}``."""
    return found.kind == "value" and constant(found.parts[0]) in (
        r"\emptyset",
        *(rf"\mathbb{{{letter}}}" for letter in "NZQRC"),
    )


def _ordered(golds: Sequence[str], answers: Sequence[str], pair: Pair) -> Outcome:
    if len(golds) != len(answers):
        return "different"
    return _all(pair(g, a) for g, a in zip(golds, answers, strict=True))


def _unordered(golds: Sequence[str], answers: Sequence[str], pair: Pair) -> Outcome:
    if not golds or not answers:
        return "different"
    table = [[pair(g, a) for a in answers] for g in golds]
    return _all(_any(line) for line in [*table, *zip(*table, strict=True)])


def _any(outcomes: Sequence[Outcome]) -> Outcome:
    if "equal" in outcomes:
        return "equal"
    return "undecided" if "undecided" in outcomes else "different"


def _all(outcomes: Iterable[Outcome]) -> Outcome:
    found = list(outcomes)
    if "different" in found:
        return "different"
    return "undecided" if "undecided" in found else "equal"
