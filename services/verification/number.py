"""Exactly known numbers, with the unit they are written with: read without any algebra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from services.verification.spelling import canonical
from services.verification.units import unit

_MAX_LENGTH = 2048
_MAX_EXPONENT = 1000

_N = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SIMPLE = re.compile(rf"[+-]?{_N}")
_BRACED = rf"\{{([+-]?{_N})\}}"
_SPACED = re.compile(r"[+-]?[0-9]{1,3}(?: [0-9]{3})+(?:\.[0-9]+)?")
_SLASH = re.compile(rf"([+-]?{_N})/([+-]?{_N})")
_FRAC = re.compile(rf"([+-]?)\\frac{_BRACED}{_BRACED}")
_MIXED = re.compile(rf"([+-]?)([0-9]+)(?: ([0-9]+)/([0-9]+)| ?\\frac{_BRACED}{_BRACED})")
_SCIENTIFIC = re.compile(rf"([+-]?)(?:({_N})(?:\\cdot|\*) ?)?10\^\{{([+-]?[0-9]{{1,4}})\}}")
_E_NOTATION = re.compile(rf"([+-]?{_N})[eE]([+-]?[0-9]{{1,4}})")
_ENCLOSED = re.compile(r"\{[^{},]*\}|\([^(),]*\)")
_NEGATED = re.compile(r"-\(([^(),+-]*)\)")
_BRACKETED = re.compile(r"(?<![^/{])\((-[0-9.]+)\)(?=[/}]|\Z)")
_REPEATING = re.compile(
    r"([+-]?)([0-9]{0,20})\.(?:([0-9]*)\\(?:overline|bar|dot)\{([0-9]{1,30})\}"
    r"|()\(([0-9]{1,30})\)"
    r"|([0-9]{0,8}?)(?:([0-9])\8{2,40}|([0-9]{2,12}?)\9{1,8})\\ldots)"
)
_SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_MONEY = re.compile(
    r"(-?)(?:(?:US)?\\?(\$)|([£€¥₹])"
    r"|(?:\\text\{ ?)?(USD|EUR|GBP|INR|Rs)\.? ?\}?(?![A-Za-z])) ?(?=.)"
)
_WORDS = {
    word: value
    for words, start, step in (
        ("zero one two three four five six seven eight nine ten eleven twelve thirteen", 0, 1),
        ("fourteen fifteen sixteen seventeen eighteen nineteen twenty", 14, 1),
        ("thirty forty fifty sixty seventy eighty ninety", 30, 10),
    )
    for value, word in enumerate(words.split())
    for value in (start + value * step,)
}
_UNIT_OF = {"USD": "$", "EUR": "€", "GBP": "£", "INR": "₹", "Rs": "₹"}
_NO_UNIT = frozenset(
    [
        *("alpha", "beta", "gamma", "delta", "zeta", "theta", "iota", "kappa", "sigma", "omega"),
        *("sqrt", "sinh", "cosh", "tanh"),
    ]
)
_SUFFIX = re.compile(
    r"(?:(?P<percent>\\?%)|(?P<money>\\\$|[£€¥₹¢])"
    r"|(?P<ordinal>\^\{(?:\\text\{)?(?:st|nd|rd|th)\}{1,2}|(?<=[0-9])(?:st|nd|rd|th))"
    r"|(?P<degree>\^\\circ(?:\\text\{(?P<scale>[CF])\}| ?(?P<letter>[CF]))?)"
    r"|(?<=[0-9])(?P<mark>''|'|\")"
    r"|(?: |(?<=[0-9]))(?P<bare>[A-Za-z][A-Za-z. ]{0,30}(?:/[A-Za-z]{1,10})?(?:\^\{[23]\})?)"
    r"|(?P<text>(?:[/ ]|\\cdot ?|\\text\{[A-Za-z](?:[A-Za-z. /^0-9]|\^\{-?[0-9]\}|\\cdot ?){0,40}\}"
    r"(?:\^\{?-?[0-9]\}?)?)+)"
    r"|\\frac\{\\text\{(?P<over>[A-Za-z.]{1,20})\}\}\{\\text\{(?P<under>[A-Za-z.]{1,20})\}\})\Z"
)
_TEXT = re.compile(r"\\text\{((?:[^{}]|\{[^{}]*\})*)\}")
_OPERATOR_WORDS = re.compile(
    r"\b(?:or|and|to|through|not|plus|minus|times|is|factorial)\b|^(?:squared|cubed)\b"
)
_OF_AN_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])|\^\\circ")
"""What makes a degree sign at the end belong to a part of a value only."""


@dataclass(frozen=True)
class Quantity:
    """An exactly known number and the unit it was written with, if any."""

    value: Fraction
    unit: str | None = None
    literal: bool = True
    """Written as digits; False for a fraction or a mixed number, where a division is left."""


@lru_cache(maxsize=16384)
def quantity(text: str) -> Quantity | None:
    """Read an exactly known number with its unit; None if the text is anything else."""
    if _SIMPLE.fullmatch(text) and len(text) <= _MAX_LENGTH:
        return Quantity(_decimal(text))
    if len(text) > _MAX_LENGTH:
        return None
    body, name = split_unit(canonical(text))
    found = _value(body)
    if found is None:
        return None
    first, _, rest = (name or "").partition(" ")
    scale = _SCALES.get(first.lower().removesuffix("s"))
    return Quantity(found[0] * (scale or 1), (rest or None) if scale else name, found[1])


def split_unit(s: str) -> tuple[str, str | None]:
    """Cut the unit, a percent or degree sign, or an ordinal ending off a canonical text.

    A unit in ``\\text{}`` may follow anything; a bare word only a plain number.
    """
    if money := _MONEY.match(s):
        currency = money[2] or money[3] or _UNIT_OF[money[4]]
        body, scale = split_unit(s[money.end() :].strip())
        return money[1] + body, f"{scale} {currency}" if scale else currency
    found = _SUFFIX.search(s)
    if found is None or not found.start():
        return s, None
    body, name = s[: found.start()].strip(), _unit_name(found)
    if name is None or (found["bare"] and _value(body) is None) or body.endswith("\\"):
        return s, None
    if (found["degree"] or name.startswith("deg")) and _OF_AN_ANGLE.search(body):
        return s, None
    return body, name or None


def _unit_name(found: re.Match[str]) -> str | None:
    """Return the unit that a suffix names; empty for an ordinal, None if it names none."""
    for group, name in (("percent", "%"), ("money", found["money"]), ("ordinal", "")):
        if found[group]:
            return name.removeprefix("\\")
    if found["degree"]:
        return f"deg{found['scale'] or found['letter'] or ''}"
    if found["over"]:
        return f"{found['over']}/{found['under']}"
    name = found["mark"] or found["bare"] or _TEXT.sub(r"\1", found["text"] or "")
    name = " ".join(name.split()).strip(" /")
    lower = name.lower().partition("^")[0].rstrip(".")
    no_word = found["bare"] and not _is_word(found[0], lower)
    if not name or _OPERATOR_WORDS.search(name) or no_word:
        return None
    return "%" if lower in ("percent", "percentage", "pct") else name


def _is_word(suffix: str, lower: str) -> bool:
    """Whether bare letters after a number are a unit: 5 m, 5ab and 5 theta are products."""
    if len(lower) < 2 or lower in _NO_UNIT:
        return False
    return unit(suffix.strip()) is not None or (
        suffix.startswith(" ") and suffix.strip().islower() and len(lower) > 3
    )


def marked_unit(text: str, name: str) -> str | None:
    r"""Write ``3 m`` as ``3\text{ m}``, where one letter at the end is known to be a unit."""
    s = canonical(text)
    if len(name) != 1 or not name.isalpha() or not s.endswith(name):
        return None
    body = s.removesuffix(name).strip()
    return rf"{body}\text{{ {name}}}" if _value(body) is not None else None


def _value(s: str) -> tuple[Fraction, bool] | None:
    """Read a canonical number: its value, and whether it is written as digits."""
    if m := _NEGATED.fullmatch(s):
        s = f"-{m[1]}"
    elif _ENCLOSED.fullmatch(s):
        s = s[1:-1]
    if "(" in s:
        s = _BRACKETED.sub(r"\1", s)
    if _SPACED.fullmatch(s):
        s = s.replace(" ", "")
    if _SIMPLE.fullmatch(s):
        return _decimal(s), True
    value: Fraction | None = None
    if m := _SLASH.fullmatch(s):
        value = _ratio(_decimal(m[1]), _decimal(m[2]))
    elif m := _FRAC.fullmatch(s):
        value = _signed(m[1], _ratio(_decimal(m[2]), _decimal(m[3])))
    elif m := _MIXED.fullmatch(s):
        value = _mixed(m)
    if value is not None:
        return value, False
    readings = (read(s) for read in (_scientific, _repeating, _word))
    value = next((v for v in readings if v is not None), None)
    return None if value is None else (value, True)


def _mixed(m: re.Match[str]) -> Fraction | None:
    part = _ratio(_decimal(m[3] or m[5]), _decimal(m[4] or m[6]))
    # 3 \frac{7}{2} is a product, not a mixed number, and 3 \frac{-1}{2} neither.
    proper = part is not None and 0 < part < 1
    return _signed(m[1], int(m[2]) + part) if proper and part is not None else None


def _scientific(s: str) -> Fraction | None:
    if m := _SCIENTIFIC.fullmatch(s):
        return _signed(m[1], _scaled(_decimal(m[2] or "1"), int(m[3])))
    if m := _E_NOTATION.fullmatch(s):
        return _scaled(_decimal(m[1]), int(m[2]))
    return None


def _repeating(s: str) -> Fraction | None:
    r"""Read ``0.1\overline{6}``, ``0.(6)`` or ``0.1666\ldots``: the period over as many nines.

    Before dots, one digit must be there three times and more of them twice.
    """
    if not (m := _REPEATING.fullmatch(s)):
        return None
    places = m[3] or m[7] or ""
    period = next(p for p in (m[4], m[6], m[8], m[9]) if p)
    tail = Fraction(int(period), 10 ** len(period) - 1)
    return _signed(m[1], (int(m[2] + places or "0") + tail) / 10 ** len(places))


def _word(s: str) -> Fraction | None:
    value = _WORDS.get(s.lower()) if s.isalpha() else None
    return None if value is None else Fraction(value)


def _decimal(s: str) -> Fraction:
    whole, _, places = s.replace(",", "").partition(".")
    # Fraction reads texts too, but takes several times as long.
    return Fraction(int(whole + places), 10 ** len(places)) if places else Fraction(int(whole))


def _ratio(a: Fraction, b: Fraction) -> Fraction | None:
    return a / b if b else None


def _signed(sign: str, value: Fraction | None) -> Fraction | None:
    return -value if sign == "-" and value is not None else value


def _scaled(value: Fraction, exponent: int) -> Fraction | None:
    return None if abs(exponent) > _MAX_EXPONENT else value * Fraction(10) ** exponent
