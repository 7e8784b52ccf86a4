r"""Names in front of a value (``x =``, ``m_{\max} =``, ``x \in``) and equality chains."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.verification.number import quantity
from services.verification.spelling import canonical
from services.verification.top_level import split

_EQUALS = re.compile(r"(?<![<>!\\=])=(?!=)")
_IN = re.compile(r"\\in(?![A-Za-z])")
_APPROX = re.compile(r"\\approx(?![A-Za-z])|\\simeq(?![A-Za-z])")
_NAME = re.compile(
    r"(?:"
    r"(?:\\text\{[^{}]*\}|\\(?!frac|sqrt|boxed|pm|mp)[A-Za-z]+(?:\{[A-Za-z]+\})?|[A-Za-z]|[A-Z]{2,4}"
    r"|\|[A-Z]{2}\||\[[A-Z]{3,5}\])"
    r"'*(?:_\{[^{}]*\})?(?:\^\{-1\})?(?:\([^()+*/^=-]{0,24}\))?'*"
    r"|m?\\(?:angle|triangle|overline)(?:[ {]?[A-Z](?:_\{[0-9]+\})?){1,5}\}?"
    r"|\\frac\{d[^{}]{0,8}\}\{d[^{}]{0,8}\}"
    r"|\([A-Za-z](?:_\{[^{}]*\})?(?:,[A-Za-z](?:_\{[^{}]*\})?)*\)"
    r")"
)
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega)")
_LEAD = re.compile(r"\\text\{[^{}]*(?:\bis|\bare|:|=)\s*\}(.+)", re.DOTALL)
_FUNCTION = re.compile(r"([A-Za-z])\([a-z]\)")
_POINT = re.compile(r"[A-Z](\([^()]*,[^()]*\))")
_MALFORMED = re.compile(r"[a-z]([\[(][^()\[\],]+,[^()\[\],]+[\])])")
"""OlympiadBench writes t(0,4] for t in (0,4]."""


@dataclass(frozen=True)
class Unlabelled:
    """Two texts without the names that only one of them has, or that both share."""

    gold: str
    answer: str
    chain: tuple[str, ...] = ()
    """Members of the answer's equality chain before the last: each must equal the answer."""
    refused: str | None = None
    """Why the answer cannot be right, e.g. ``not_an_equation``."""


def unlabelled(gold: str, answer: str) -> Unlabelled:
    """Drop names in front. Neither text may be a list."""
    gold, answer = _repaired(canonical(gold)), _without_lead(canonical(answer))
    wanted, given = split(gold, _EQUALS), split(answer, _EQUALS)
    if len(given) == 1 and len(wanted) == 1:
        return Unlabelled(_element(gold), _element(answer))
    if len(given) == 1:
        value = _assigned(wanted)
        if value is None:
            return Unlabelled(gold, answer, refused="not_an_equation")
        return Unlabelled(_element(value), _element(answer))
    if len(wanted) == 1:
        return _value_of(gold, given)
    if _NAME.fullmatch(wanted[0]) and _NAME.fullmatch(given[0]) and _same_name(wanted[0], given[0]):
        return Unlabelled(wanted[-1], given[-1], tuple(given[1:-1]))
    return Unlabelled(gold, answer)


def bare(text: str) -> str:
    r"""Drop a name in front of a value that is no list, e.g. of ``x \in [0,1)`` or ``P(1,2)``."""
    s = _without_lead(_repaired(canonical(text)))
    members = split(s, _EQUALS)
    value = _element(members[-1] if len(members) > 1 and _NAME.fullmatch(members[0]) else s)
    point = _POINT.fullmatch(value)
    return point[1] if point else value


def sides(text: str) -> list[str]:
    """Cut a text at its equals signs."""
    return split(canonical(text), _EQUALS)


def approximated(text: str) -> list[str]:
    r"""Cut a text at ``\approx``: the exact value first, without a name alone in front."""
    parts = [p for p in split(canonical(text), _APPROX) if p]
    return parts[1:] if len(parts) > 1 and _NAME.fullmatch(parts[0]) else parts


def _value_of(gold: str, given: list[str]) -> Unlabelled:
    """Read the value that an equation gives, where the accepted answer is no equation."""
    first, last = given[0], given[-1]
    if _NAME.fullmatch(first):
        members = given[1:]
    elif len(given) == 2 and _NAME.fullmatch(last):
        members = given[:1]
    elif _LETTER.search(first):
        # x + y = 5 says what x + y is. x^2 - 4 = 0 says nothing of x: it would be right wherever
        # the answer is 0.
        zero = quantity(last)
        if zero is not None and zero.value == 0:
            return Unlabelled(gold, last, refused="equation_for_value")
        members = given[1:]
    else:
        members = given
    return Unlabelled(_element(gold), _element(members[-1]), tuple(members[:-1]))


def _assigned(members: list[str]) -> str | None:
    """Return what a name is set equal to, or None if neither side is a name."""
    if _NAME.fullmatch(members[0]):
        return members[-1]
    return members[0] if len(members) == 2 and _NAME.fullmatch(members[1]) else None


def _same_name(a: str, b: str) -> bool:
    """Whether two names stand for the same: f(x), f and, for a function, y do."""
    if a == b:
        return True
    f, g = _FUNCTION.fullmatch(a), _FUNCTION.fullmatch(b)
    if f and g:
        return False
    named = f or g
    other = b if f else a
    return named is not None and other in (named[1], "y")


def _element(text: str) -> str:
    r"""Drop the name in front of ``\in``."""
    parts = split(text, _IN)
    return parts[1] if len(parts) == 2 and _NAME.fullmatch(parts[0]) else text


def _without_lead(text: str) -> str:
    found = _LEAD.fullmatch(text)
    return found[1].strip() if found else text


def _repaired(gold: str) -> str:
    found = _MALFORMED.fullmatch(gold)
    return found[1] if found and ("[" in gold or "]" in gold) else gold
