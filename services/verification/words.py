"""Answers that are no numbers and need no algebra: words, choices, times, numerals, constants."""

from __future__ import annotations

import re
from functools import lru_cache

from services.verification.spelling import canonical

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_LETTERS = re.compile(r"[^\W\d_](?:[^\W\d_]|[ .,'\-])*")
_RUN = re.compile(r"[^\W\d_]+")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_SHORT = frozenset(["yes", "no", "odd"])
"""Words of less than four letters that are no products."""
_FUNCTIONS = frozenset(
    [
        *("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"),
        *("arcsin", "arccos", "arctan", "log", "exp", "sqrt"),
    ]
)
_MEANT = {
    "no solution": r"\emptyset",
    "no solutions": r"\emptyset",
    "no real solution": r"\emptyset",
    "no real solutions": r"\emptyset",
    "empty set": r"\emptyset",
    "infinity": r"\infty",
    "positive infinity": r"\infty",
    "negative infinity": r"-\infty",
    "all real numbers": r"\mathbb{R}",
    "dne": "does not exist",
}
_CONSTANT = {
    r"\infty": r"\infty",
    r"+\infty": r"\infty",
    r"-\infty": r"-\infty",
    r"\emptyset": r"\emptyset",
    r"\{\}": r"\emptyset",
    r"\mathbb{R}": r"\mathbb{R}",
    r"(-\infty,\infty)": r"\mathbb{R}",
    r"(-\infty,+\infty)": r"\mathbb{R}",
    r"\mathbb{Z}": r"\mathbb{Z}",
    r"\mathbb{N}": r"\mathbb{N}",
    r"\mathbb{Q}": r"\mathbb{Q}",
    r"\mathbb{C}": r"\mathbb{C}",
}
_CHOICE = re.compile(
    r"(?:\\text\{)?\(([A-J])\)(?:\})?[.:]?(.*)|(?:\\text\{)?([A-J])(?:\}?[.:]\}?|\)\}?)(.*)|([A-J])",
    re.DOTALL,
)
_CALLED = re.compile(
    r"(?:\\text\{)?(?:[Oo]ption|[Cc]hoice|[Aa]nswer)[ :]*\}?[ :]*(?=\(?[A-J](?![A-Za-z]))"
)
_OTHER_CHOICE = re.compile(r"\([A-J]\)|\b(?:or|and)\b|(?<![A-Za-z])[A-J](?![A-Za-z])")
_CLOCK = re.compile(
    r"0?([0-9]{1,2})(?::([0-9]{2}))?\s*(?:\\text\s*\{)?\s*(?:([ap])\.?\s?m\.?)?\s*\}?", re.I
)
_NUMERAL = re.compile(
    r"\(?(?:\\text\{)?([0-9A-Fa-f]+)\}?\)?_\{(?:\\text\{)?\(?([0-9]{1,2}|[a-z]+)\)?\}*"
)
_IN_BASE = re.compile(r"([0-9A-Fa-f]+?)(?:\\text\{)?\(?(?:in)?base\}?([0-9]{1,2}|[a-z]+)\)?\}?")
_BASES = {
    **{"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8"},
    **{"nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "sixteen": "16"},
}


@lru_cache(maxsize=8192)
def words(text: str) -> str | None:
    r"""Return words in lower case without articles and punctuation; None for anything else.

    Words stand in ``\text{}``, or are four letters and more, or three capitals (an order of
    people, ``CAB``), or say yes or no: other bare ones are products.
    """
    s = canonical(text)
    plain = _TEXT.sub(r" \1 ", s)
    if not _LETTERS.fullmatch(plain.strip()):
        return None
    runs = _RUN.findall(plain)
    longest = max(runs, key=len)
    marked = "\\text" in text or "\\mbox" in text or "\\mathrm" in text
    if not (
        (marked and len(longest) > 1)
        or (len(longest) > 3 and not _FUNCTIONS & set(runs))
        or (len(longest) == 3 and longest.isupper())
        or (len(runs) == 1 and longest.lower() in _SHORT)
    ):
        return None
    kept = _ARTICLE.sub(" ", " ".join(runs).lower())
    return " ".join(kept.split()) or " ".join(runs).lower()


def constant(text: str) -> str | None:
    """Return the one spelling of an infinity, the empty set or a set of numbers, else None."""
    s = canonical(text)
    if s in _CONSTANT:
        return _CONSTANT[s]
    meant = _MEANT.get(words(text) or "")
    return meant if meant in _CONSTANT else None


def same_words(gold: str, answer: str) -> bool | None:
    """Whether two texts in words are the same; None if the accepted one is not in words."""
    a, b = words(gold), words(answer)
    if a is None:
        return None
    return b is not None and _MEANT.get(a, a) == _MEANT.get(b, b)


def choice(text: str) -> tuple[str, str] | None:
    r"""Read a multiple choice: letter and what follows, e.g. of ``\textbf{(C)}\ 12``.

    None if it is none, or if another choice is named too.
    """
    found = _CHOICE.fullmatch(_CALLED.sub("", canonical(text), count=1))
    if found is None:
        return None
    letter = found[1] or found[3] or found[5]
    rest = (found[2] or found[4] or "").strip()
    return None if _OTHER_CHOICE.search(rest) else (letter, rest)


def same_time(gold: str, answer: str) -> bool | None:
    """Whether two times of day are the same, a missing am or pm ignored; None if one is none."""
    m, n = _time(gold), _time(answer)
    if m is None or n is None:
        return None
    halves = {half for half in (m[1], n[1]) if half}
    return m[0] == n[0] and len(halves) < 2


def _time(text: str) -> tuple[str, str] | None:
    """Read a time of day: hours and minutes, and the half of the day. A bare ``6`` is none."""
    found = _CLOCK.fullmatch(canonical(text))
    if found is None or not (found[2] or found[3]):
        return None
    return f"{found[1]}:{found[2] or '00'}", (found[3] or "").lower()


def same_numeral(gold: str, answer: str) -> bool | None:
    r"""Whether two numerals are the same, where one at least names its base (``2516_8``).

    The digits must be the same: a value converted to another base answers another question. A base
    that only one of them names is ignored. None if neither names one, or one is no numeral.
    """
    a, b = _numeral(gold), _numeral(answer)
    if a is None or b is None or not (a[1] or b[1]):
        return None
    return a[0] == b[0] and (not a[1] or not b[1] or a[1] == b[1])


def _numeral(text: str) -> tuple[str, str] | None:
    s = canonical(text).replace(" ", "")
    if found := _NUMERAL.fullmatch(s) or _IN_BASE.fullmatch(s):
        digits, base = found[1].upper().lstrip("0") or "0", found[2]
        base = _BASES.get(base, base)
        return (digits, base) if base.isdecimal() else None
    return (s.lstrip("0") or "0", "") if s.isdecimal() and s.isascii() else None
