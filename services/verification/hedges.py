"""Checks against answers that win by hedging or restating instead of answering."""

from __future__ import annotations

import re

from services.verification.congruences import same_congruence
from services.verification.labels import sides
from services.verification.number import quantity
from services.verification.policy import Rules
from services.verification.spelling import canonical
from services.verification.tolerance import Tolerance
from services.verification.words import same_numeral

_NUMBERS_ONLY = re.compile(r"(?:[0-9.+\-*/(){}\[\], ]|\\cdot|\\div|\\frac)+")
_UNEVALUATED = re.compile(r"\\(?:i{1,3}nt|oint|sum|prod|lim)(?![A-Za-z])|\\frac\s*\{\s*d\s*\}")
_LEFT_IN_GOLD = re.compile(_UNEVALUATED.pattern + r"|\\frac\s*\{\s*d")
_DECIMALS = re.compile(r"[+-]?[0-9,]*\.([0-9]+)")
_LONG, _SHORT = 6, 5.1e-7
"""Places of a decimal that is taken as rounded, and more than half a unit of the last of them."""


def unevaluated(gold: str, answer: str) -> bool:
    """Whether an answer leaves a sum, an integral or a limit that the accepted one does without."""
    if not _UNEVALUATED.search(answer) or _LEFT_IN_GOLD.search(gold):
        return False
    asked, *rest = sides(answer)
    return bool(_UNEVALUATED.search("=".join(rest) if _says_what(gold, asked, rest) else answer))


def _says_what(gold: str, asked: str, rest: list[str]) -> bool:
    r"""Whether an answer only names first what is asked for: ``\sum_{k=1}^4 k = 10``."""
    return bool(rest) and len(sides(gold)) == 1 and bool(_UNEVALUATED.search(asked))


def refusal(gold: str, answer: str, rules: Rules) -> str | None:
    """Return why a single value does not answer a number, whatever it is worth; or None.

    ``not_a_literal``: the integer wanted is to be written out. ``unfinished``: arithmetic is left
    to the reader.
    """
    wanted = quantity(gold)
    if wanted is None:
        return None
    given = quantity(answer)
    if given is None and _renamed(gold, answer):
        return None
    # Half is what 50 % is, and no division left to do.
    whole = wanted.value.denominator == 1 and wanted.unit != "%"
    if rules.int_gold_literal and whole:
        return None if given is not None and given.literal else "not_a_literal"
    if not rules.finished_arithmetic:
        return None
    if given is not None:
        return "unfinished" if whole and not given.literal else None
    return "unfinished" if _NUMBERS_ONLY.fullmatch(canonical(answer)) else None


def _renamed(gold: str, answer: str) -> bool:
    """Whether an answer has the very digits of the number, with a base or a modulus beside them."""
    return bool(same_numeral(gold, answer) or same_congruence(gold, answer))


def is_decimal(text: str) -> bool:
    """Whether a text is a number with digits after the point: it may be a rounded one."""
    return _DECIMALS.fullmatch(canonical(text)) is not None


def rounding(gold: str, answer: str) -> Tolerance | None:
    """Return half a unit of the last place of a long decimal, for an answer that is none itself.

    An accepted answer with six decimals and more is one rounded for print; e is right for
    2.718282. With fewer decimals it is taken as exact.
    """
    if len(gold) <= _LONG or "." not in gold or "." in answer:
        return None
    half = last_place(gold)
    return half if half is not None and half.absolute < _SHORT else None


def last_place(text: str) -> Tolerance | None:
    """Return half a unit of the last place of a decimal, None for anything else."""
    found = _DECIMALS.fullmatch(canonical(text))
    return None if found is None else Tolerance(absolute=float(f"5e-{len(found[1]) + 1}"))
