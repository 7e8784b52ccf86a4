"""Exact comparison of plain answers in microseconds: strings and rational numbers, no sympy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

Outcome = Literal["equal", "different", "undecided"]

_MAX_LENGTH = 2048
_MAX_EXPONENT = 1000

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_SPACING = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|quad|qquad|limits)(?![A-Za-z])|\\[!,;:> ]|~"
)
_THIN_THOUSANDS = re.compile(r"(?<=[0-9])(?:\\[,;: ]|\\!|\{,\}|,\\!)(?=[0-9]{3}(?![0-9]))")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|rm|bf)\s*\{([^{}]*)\}")
_IDLE_SPACE = re.compile(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])")

_N = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_BRACED = rf"(?:\{{([+-]?{_N})\}}|([0-9]))"
_NUMBER = re.compile(rf"([+-]?){_N}")
_SLASH = re.compile(rf"([+-]?{_N})/([+-]?{_N})")
_FRAC = re.compile(rf"([+-]?)\\[dtc]?frac{_BRACED}{_BRACED}")
_MIXED = re.compile(rf"([+-]?)([0-9]+)(?: ([0-9]+)/([0-9]+)| ?\\[dtc]?frac{_BRACED}{_BRACED})")
_SCIENTIFIC = re.compile(
    rf"([+-]?)(?:({_N})(?:\\times|\\cdot|×|·|\*) ?)?10\^(?:\{{([+-]?[0-9]{{1,4}})\}}|([0-9]))"
)
_E_NOTATION = re.compile(rf"([+-]?{_N})[eE]([+-]?[0-9]{{1,4}})")

_UNIT = re.compile(
    r"(?P<body>.*?[0-9}.])\s*(?:(?P<percent>\\?%)|\^\{(?:\\text\{)?(?:st|nd|rd|th)\}{1,2}"
    r"|(?P<degree>\^\{?\\circ\}?|\\degree|°)"
    r"|\\(?:text|mathrm|textrm|mbox|textbf|rm)\s*\{\s*(?P<word>[A-Za-z][A-Za-z. ]{0,30}?)\s*\}"
    r"(?:\^\{?(?P<power>[23])\}?)?)",
    re.DOTALL,
)
_CLOCK = re.compile(
    r"([0-9]{1,2}:[0-9]{2})\s*(?:\\(?:text|mathrm)\s*\{)?\s*(?:([ap])\.?\s?m\.?)?\s*\}?", re.I
)
_SAME_UNIT = {
    name: unit
    for unit, names in {
        "%": "percent percentage",
        "deg": "degree degrees",
        "$": "dollar dollars usd",
        "cent": "cents",
        "mm": "millimeter millimeters millimetre millimetres",
        "cm": "centimeter centimeters centimetre centimetres",
        "m": "meter meters metre metres",
        "km": "kilometer kilometers kilometre kilometres",
        "in": "inch inches",
        "ft": "foot feet",
        "mi": "mile miles",
        "s": "second seconds sec",
        "min": "minute minutes",
        "h": "hour hours hr hrs",
        "g": "gram grams",
        "kg": "kilogram kilograms",
    }.items()
    for name in names.split()
}


@dataclass(frozen=True)
class Quantity:
    """An exactly known number and the unit it was written with, if any."""

    value: Fraction
    unit: str | None = None


def compare(gold: str, answer: str) -> Outcome:
    """Compare two answers exactly.

    ``different`` is returned only when both sides are exactly known numbers; whatever needs
    algebra is ``undecided``. A unit on one side only is ignored; two different units with equal
    values differ, and with unequal values are undecided (they may convert).
    """
    if _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
        # Canonical spellings without leading zeros: -0 is the one exception.
        return "equal" if gold == answer or int(gold) == int(answer) else "different"
    if len(gold) > _MAX_LENGTH or len(answer) > _MAX_LENGTH:
        return "undecided"
    left, right = normalise(gold), normalise(answer)
    if left == right and left:
        return "equal"
    a, b = quantity(gold), quantity(answer)
    if a is None or b is None:
        return "equal" if _same_time(left, right) else "undecided"
    return _compare_quantities(a, b)


def _compare_quantities(a: Quantity, b: Quantity) -> Outcome:
    if a.unit == b.unit or a.unit is None or b.unit is None:
        if a.value == b.value:
            return "equal"
        # 25 % is 25 hundredths, but a bare 25 is taken to leave the sign out.
        if "%" in (a.unit, b.unit) and a.unit != b.unit:
            percent, bare = (a, b) if a.unit == "%" else (b, a)
            return "equal" if percent.value == 100 * bare.value else "different"
        return "different"
    return "different" if a.value == b.value else "undecided"


def _same_time(a: str, b: str) -> bool:
    """Whether both are the same time of day; a missing am or pm is ignored."""
    m, n = _CLOCK.fullmatch(a), _CLOCK.fullmatch(b)
    if m is None or n is None or m[1] != n[1]:
        return False
    return not m[2] or not n[2] or m[2].lower() == n[2].lower()


@lru_cache(maxsize=8192)
def normalise(text: str) -> str:
    """Return one spelling for texts that differ in layout only: spacing, delimiters, wrappers."""
    s = text.strip().replace("−", "-").replace("\u2009", " ").replace("\u00a0", " ")
    s = _THIN_THOUSANDS.sub(",", s)
    s = _SPACING.sub(" ", s)
    s = s.strip().removesuffix(".").strip()
    for opening, closing in _DELIMITERS:
        inner = s[len(opening) : -len(closing)]
        if s.startswith(opening) and s.endswith(closing) and inner and opening not in inner:
            s = inner.strip().removesuffix(".").strip()
    if whole := _WRAPPER.fullmatch(s):
        s = whole.group(1)
    return _IDLE_SPACE.sub("", " ".join(s.split()))


@lru_cache(maxsize=8192)
def quantity(text: str) -> Quantity | None:
    """Read an exactly known number with its unit; None if the text is anything else."""
    if len(text) > _MAX_LENGTH:
        return None
    s, unit = text.strip(), None
    if s.startswith("$") and s.endswith("$") and s.count("$") == 2:
        s = s[1:-1]
    s = s.strip().removesuffix(".")
    if found := _UNIT.fullmatch(s):
        s = found["body"]
        unit = "%" if found["percent"] else "deg" if found["degree"] else None
        if found["word"]:
            word = found["word"].strip(" .").lower()
            unit = _SAME_UNIT.get(word, word.removesuffix("s") if len(word) > 2 else word)
            unit += found["power"] or ""
    s = normalise(s)
    for sign in ("\\$", "$", "£", "€"):
        if s.startswith(sign):
            s, unit = s.removeprefix(sign), unit or sign[-1]
    value = _value(s)
    return None if value is None else Quantity(value, unit)


def _value(s: str) -> Fraction | None:
    """Read a normalised number: integer, decimal, fraction, mixed or scientific."""
    if s.startswith("{") and s.endswith("}") and "{" not in s[1:]:
        s = s[1:-1]
    if _NUMBER.fullmatch(s):
        return _decimal(s)
    if m := _SLASH.fullmatch(s):
        return _ratio(_decimal(m[1]), _decimal(m[2]))
    if m := _FRAC.fullmatch(s):
        return _signed(m[1], _ratio(_decimal(m[2] or m[3]), _decimal(m[4] or m[5])))
    return _mixed(s) or _scientific(s)


def _mixed(s: str) -> Fraction | None:
    m = _MIXED.fullmatch(s)
    if m is None:
        return None
    part = _ratio(_decimal(m[3] or m[5] or m[6]), _decimal(m[4] or m[7] or m[8]))
    # 3 \frac{7}{2} is a product, not a mixed number, and 3 \frac{-1}{2} neither.
    proper = part is not None and 0 < part < 1
    return _signed(m[1], int(m[2]) + part) if proper and part is not None else None


def _scientific(s: str) -> Fraction | None:
    if m := _SCIENTIFIC.fullmatch(s):
        return _signed(m[1], _scaled(_decimal(m[2] or "1"), int(m[3] or m[4])))
    if m := _E_NOTATION.fullmatch(s):
        return _scaled(_decimal(m[1]), int(m[2]))
    return None


def _decimal(s: str) -> Fraction:
    return Fraction(s.replace(",", "").rstrip(".") or "0")


def _ratio(a: Fraction, b: Fraction) -> Fraction | None:
    return a / b if b else None


def _signed(sign: str, value: Fraction | None) -> Fraction | None:
    return -value if sign == "-" and value is not None else value


def _scaled(value: Fraction, exponent: int) -> Fraction | None:
    return None if abs(exponent) > _MAX_EXPONENT else value * Fraction(10) ** exponent
