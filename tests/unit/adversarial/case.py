"""One answer that is hard to judge: what is accepted, what is answered, and who pays."""

from __future__ import annotations

from typing import Literal, NamedTuple

Paid = Literal["both", "eval", "nobody"]


class Case(NamedTuple):
    """One answer against one accepted answer."""

    kind: str
    gold: str
    answer: str
    paid: Paid
    """Which policies of ``reward`` and ``eval`` find it correct."""


def cases(kind: str, paid: Paid, *pairs: tuple[str, str]) -> list[Case]:
    """Return the cases of one kind, as pairs of an accepted and a given answer."""
    return [Case(kind, gold, answer, paid) for gold, answer in pairs]
