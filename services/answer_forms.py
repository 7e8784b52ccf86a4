"""How data sets write their answers, each form read into the accepted answer itself."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from services.verification.extract import THINK_CLOSE, extract

AnswerForm = Literal["plain", "whole", "hashes", "boxed"]
"""``plain``: the answer as it stands. ``whole``: a whole number, perhaps written as 142.0 or 025.
``hashes``: a solution that ends with ``#### 42`` (GSM8K). ``boxed``: a solution with the answer in
its last ``\\boxed{}`` (MATH)."""

_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?")
_LARGEST_EXACT = 2**53
"""Above it not every whole number is a float."""


def read_answer(value: Any, form: AnswerForm = "plain") -> str:
    """The accepted answer in a cell; empty if there is none."""
    text = _text(value)
    if form == "whole":
        return _whole(text)
    if form == "hashes":
        _, found, last = text.rpartition("####")
        return _whole(last.strip().replace(",", "")) if found else ""
    if form == "boxed":
        # The rules for a response: the last balanced box.
        return extract(THINK_CLOSE + text).answer or ""
    return text


def with_unit(answer: str, unit: str) -> str:
    """An answer with the unit its column of units names, in the notation of LaTeX.

    Where the answer has dollars around it, they go: the unit belongs inside.
    """
    unit = unit.strip().strip("$")
    if not unit:
        return answer
    inner = answer.strip().removeprefix("$").removesuffix("$") if answer.count("$") == 2 else answer
    if unit == "%":
        return inner + "\\%"
    if unit.startswith("^"):
        return inner + unit
    word, raised, power = unit.partition("^")
    return f"{inner}\\text{{ {word}}}" + (raised + power)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return str(int(value))
    return str(value)


def _whole(text: str) -> str:
    found = _WHOLE.fullmatch(text)
    return found[1].removeprefix("+") + found[2] if found else text
