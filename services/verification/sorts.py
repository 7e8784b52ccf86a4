"""What a single value is known to be, by reading it: nothing is evaluated."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from services.verification.exact import is_special
from services.verification.expression import UnreadableError, expression
from services.verification.labels import sides
from services.verification.number import quantity, split_unit
from services.verification.regions import region

Sort = Literal["number", "special", "region", "expression", "equation"]


@lru_cache(maxsize=4096)
def sort_of(text: str) -> Sort | None:
    """Return what a single value is; None if it cannot be read.

    ``special`` is known exactly without being a number: words, a numeral, a time. Values of
    different sorts are never equal, but for a number, which is an expression too.
    """
    if quantity(text) is not None:
        return "number"
    if is_special(text):
        return "special"
    if region(text) is not None:
        return "region"
    try:
        parts = [expression(split_unit(side)[0]) for side in sides(text)]
    except UnreadableError:
        return None
    return "expression" if len(parts) == 1 else "equation"
