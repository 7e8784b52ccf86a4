"""Static guards: what is known to be too big before any algebra is tried."""

from __future__ import annotations

import re

from services.verification.spelling import hidden_character

_MAX_DEPTH = 24
_MAX_DIGITS = 400
_MAX_EXPONENT = 5000
_MAX_FACTORIAL = 2000
_MAX_TERMS = 10_000
"""Largest bound of a written-out sum or product, and largest number in a binomial."""

_INTEGER = re.compile(r"[0-9]+")
_EXPONENT = re.compile(r"(?:\^|\*\*)\s*(?:\{|\\left\(|\()?\s*[+-]?\s*([0-9]+)")
_COMMAND = re.compile(r"\\(?:left|right|cdot|times|big|Big)(?![A-Za-z])")
_FACTORIAL = re.compile(r"(?<![0-9])([0-9]+)\s*!")
_GROUP_FACTORIAL = re.compile(r"[)}\]!]\s*!")
_ITERATED = re.compile(r"\\(?:sum|prod|int|binom|dbinom|tbinom)(?![A-Za-z])")
_CODE = re.compile(r"__|;\s*import|\bimport\b|\bexec\b|\beval\b|\blambda\s*:")


def unsupported(text: str) -> str | None:
    """Return why an answer is not given to sympy, or None if it may be.

    Conservative on purpose: what slips through is stopped by the worker's wall clock and memory
    limit.
    """
    plain = _COMMAND.sub(" ", text)
    checks = {
        "code": _CODE.search(text),
        "control_character": hidden_character(text),
        "depth": _depth(text) > _MAX_DEPTH,
        "digits": any(len(n) > _MAX_DIGITS for n in _INTEGER.findall(text)),
        "exponent": any(_over(n, _MAX_EXPONENT) for n in _EXPONENT.findall(plain))
        or _nested_power(plain),
        "factorial": any(_over(n, _MAX_FACTORIAL) for n in _FACTORIAL.findall(plain))
        or (_GROUP_FACTORIAL.search(plain) and not re.search(r"[A-Za-z]", plain)),
        "iteration": _ITERATED.search(text)
        and any(_over(n, _MAX_TERMS) for n in _INTEGER.findall(text)),
    }
    return next((name for name, hit in checks.items() if hit), None)


def _over(digits: str, limit: int) -> bool:
    return len(digits) > len(str(limit)) or int(digits) > limit


def _nested_power(text: str) -> bool:
    """Whether a numeric power stands in the exponent of another: 9^9^9, 2^{3^{4}}."""
    for match in re.finditer(r"\^|\*\*", text):
        exponent = _operand(text, match.end())
        if re.search(r"\^|\*\*", exponent) and not re.search(r"[A-Za-z]", exponent):
            return True
    return bool(re.search(r"[0-9]\s*(?:\^|\*\*)\s*[0-9]+\s*(?:\^|\*\*)", text))


def _operand(text: str, start: int) -> str:
    """Return the bracketed group or the run of digits that begins at ``start``."""
    while start < len(text) and text[start].isspace():
        start += 1
    if start >= len(text) or text[start] not in "({":
        found = _INTEGER.match(text, start)
        return found.group() if found else text[start : start + 1]
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "({") - (text[i] in ")}")
        if depth == 0:
            return text[start : i + 1]
    return text[start:]


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in text:
        depth += (char in "({[") - (char in ")}]")
        deepest = max(deepest, depth)
    return deepest
