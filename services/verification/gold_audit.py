"""The audit of accepted answers when a data set is loaded: cleaning, and which can pay at all.

A gold that cannot be read as mathematics pays only for the very same text. Such golds are listed,
for a person to mend or drop them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from algorithms.trajectory import Judgement
from services.verification.labels import bare, sides
from services.verification.number import split_unit
from services.verification.shapes import Shape, shape
from services.verification.sorts import Sort, sort_of
from services.verification.spelling import canonical
from services.verification.units import unit

Change = Literal["delimiters", "line_break", "final_dot", "label", "unit", "ordinal", "layout"]
Kind = Literal["exact", "algebra", "string_only", "empty"]

BatchJudge = Callable[[Sequence[tuple[tuple[str, ...], str]]], Sequence[Judgement]]
"""Judges (accepted answers, response) pairs: ``VerificationPool.judge`` is one."""

_BRACKETS = {"set": (r"\{", r"\}"), "list": ("", "")}
_VARIABLE_LABEL = re.compile(r"[a-z](?:\([a-z]\))?=")


@dataclass(frozen=True)
class GoldFinding:
    """What was found about one accepted answer."""

    gold: str
    cleaned: str
    """The same answer in one spelling, without what says nothing about its value. A unit that is
    known stays: an answer in another one is wrong."""
    changes: tuple[Change, ...]
    """What the cleaning removed; ``layout`` for spelling alone."""
    kind: Kind
    """``exact``: verifies against itself without algebra. ``algebra``: is read as mathematics, and
    is to be verified against itself by a judge. ``string_only``: cannot be read, so that only the
    very same text pays."""

    @property
    def verifies(self) -> bool | None:
        """Whether the cleaned answer verifies against itself; None where a judge must say."""
        return {"exact": True, "algebra": None, "string_only": False, "empty": False}[self.kind]


@dataclass(frozen=True)
class Unverified:
    """An accepted answer that does not verify against itself."""

    question_id: str
    gold: str
    cleaned: str
    reason: str
    """``string_only``, ``empty``, or what the judge said."""


@dataclass(frozen=True)
class AuditReport:
    """What an audit found over a data set."""

    golds: int
    """Accepted answers looked at."""
    changed: Mapping[Change, int]
    """How many each cleaning changed."""
    kinds: Mapping[Kind, int]
    unverified: tuple[Unverified, ...]
    """Those that do not verify against themselves, in the order given."""


def audit_gold(gold: str) -> GoldFinding:
    """Clean an accepted answer and say whether it verifies against itself."""
    spelled = canonical(gold)
    cleaned = spelled
    if not _VARIABLE_LABEL.match(spelled) and len(shape(spelled).parts) == 1:
        cleaned = bare(spelled)
    named: list[Change] = [] if cleaned == spelled else ["label"]
    cleaned, dropped = _without_unit(cleaned)
    changes = (*_layout(gold, spelled), *named, *dropped)
    return GoldFinding(gold, cleaned, changes, _kind(cleaned))


def respelled(gold: str) -> str:
    """Return the same answer in other letters, so that no comparison of texts finds it equal.

    Every expression gets brackets; numbers and words are known exactly as they stand.
    """
    whole = shape(gold)
    if whole.kind == "value":
        return _bracketed(gold)
    parts = [respelled(p) for p in whole.parts]
    if whole.kind == "matrix":
        return _matrix(whole, parts)
    if whole.kind == "union":
        return r"\cup ".join(parts)
    opening, closing = _BRACKETS.get(whole.kind) or (whole.form[0], whole.form[1])
    return opening + ", ".join(parts) + closing


def audit(golds: Mapping[str, Sequence[str]], judge: BatchJudge) -> AuditReport:
    """Audit the accepted answers of a data set.

    Args:
        golds: accepted answers by the id of their question.
        judge: decides about those that need algebra, all in one call.
    """
    found = [(i, audit_gold(g)) for i, several in golds.items() for g in several]
    asked = [f for _, f in found if f.kind == "algebra"]
    items = [((f.cleaned,), _response(f.cleaned)) for f in asked]
    verdicts = {f.gold: j for f, j in zip(asked, judge(items) if items else (), strict=True)}
    return AuditReport(
        golds=len(found),
        changed=Counter(c for _, f in found for c in f.changes),
        kinds=Counter(f.kind for _, f in found),
        unverified=tuple(_unverified(found, verdicts)),
    )


def _unverified(
    found: Sequence[tuple[str, GoldFinding]], verdicts: Mapping[str, Judgement]
) -> Iterator[Unverified]:
    for question_id, f in found:
        judged = verdicts.get(f.gold)
        if judged is not None and judged.verdict == "correct":
            continue
        if judged is not None:
            yield Unverified(question_id, f.gold, f.cleaned, f"{judged.verdict}:{judged.reason}")
        elif not f.verifies:
            yield Unverified(question_id, f.gold, f.cleaned, f.kind)


def _response(answer: str) -> str:
    return f"</think>\\boxed{{{respelled(answer)}}}"


def _kind(cleaned: str) -> Kind:
    if not cleaned:
        return "empty"
    sorts = set(_sorts(cleaned))
    if None in sorts:
        return "string_only"
    return "exact" if sorts <= {"number", "special"} else "algebra"


def _sorts(text: str) -> Iterator[Sort | None]:
    whole = shape(text)
    if whole.kind == "value":
        yield sort_of(text)
        return
    for part in whole.parts:
        yield from _sorts(bare(part))


def _without_unit(text: str) -> tuple[str, list[Change]]:
    """Drop an ordinal ending, and words after a number that are no unit that converts."""
    if shape(text).kind != "value" or sort_of(text) != "number":
        return text, []
    body, name = split_unit(text)
    if body == text or name in ("%", "$") or (name and unit(name)):
        return text, []
    return body, ["unit" if name else "ordinal"]


def _layout(gold: str, spelled: str) -> Iterator[Change]:
    """Name what the common spelling took away."""
    inner = gold.strip()
    if "\n" in gold:
        yield "line_break"
    enclosed = inner.startswith((r"\(", r"\[")) or (inner[:1] == "$" and "$" in inner[1:])
    if enclosed:
        yield "delimiters"
    if inner.rstrip("$ ").endswith("."):
        yield "final_dot"
    if not enclosed and "".join(spelled.split()) != "".join(inner.removesuffix(".").split()):
        yield "layout"


def _bracketed(text: str) -> str:
    sort = sort_of(text)
    if sort in ("number", "special", "region"):
        return text
    return " = ".join(f"({side})" for side in sides(text))


def _matrix(whole: Shape, parts: list[str]) -> str:
    columns = int(whole.form)
    rows = [parts[i : i + columns] for i in range(0, len(parts), columns)]
    body = r" \\ ".join(" & ".join(row) for row in rows)
    return rf"\begin{{pmatrix}}{body}\end{{pmatrix}}"
