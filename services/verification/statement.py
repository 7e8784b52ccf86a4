"""Answers that stand in no box: the final statement of a text, and its last number."""

from __future__ import annotations

import re

_TAIL = 1000
"""Characters at the end of a text in which its final statement is looked for."""
_STATED = re.compile(
    r"(?:\banswer\b\**\s*(?:\([^()\n]{0,40}\)\s*)?(?:\**:\**|\bis\b\s*:?|=)"
    r"|\bfinal answer\**\s*\n|^\s*\#{4})\s*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)
_SPAN = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_NUMBER_LINE = re.compile(r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+|/[0-9]+)?")
_ANY_NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
_MARKUP = "* \t\n"


def final_statement(text: str) -> str | None:
    """Return what a text states as its answer without a box, or None.

    That is what follows its last "answer is", "answer:" or "####"; or the whole text, if it is one
    formula or one number. A number that merely comes last is none.
    """
    end = text[-_TAIL:].strip()
    stated = list(_STATED.finditer(end))
    if stated:
        return _formula(_bare(stated[-1][1]))
    alone = _bare(end)
    span = _SPAN.fullmatch(alone)
    if span and len(_SPAN.findall(alone)) == 1:
        return next(g for g in span.groups() if g is not None).strip()
    return alone if _NUMBER_LINE.fullmatch(alone) else None


def _bare(text: str) -> str:
    """Drop markup around a statement, and the dot that ends it."""
    return text.strip(_MARKUP).removesuffix(".").strip(_MARKUP)


def _formula(statement: str) -> str:
    """Return the one formula of a statement if it has exactly one, else the statement."""
    spans = list(_SPAN.finditer(statement))
    if len(spans) != 1:
        return statement
    return next(g for g in spans[0].groups() if g is not None).strip()


def last_number(text: str) -> str | None:
    """Return the number that comes last in a text."""
    found = _ANY_NUMBER.findall(text)
    return found[-1] if found else None


def first_number(text: str) -> str | None:
    """Return the number that comes first in a text, without thousands separators."""
    found = _ANY_NUMBER.search(text)
    return found[0].replace(",", "") if found else None
