"""Units at the end of an answer: which one it is, and how it converts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Unit:
    """A unit as a multiple of products of base units."""

    factor: Fraction
    dimension: Dimension
    """Base units with their exponents, sorted; without those of exponent 0."""

    def comparable(self, other: Unit) -> bool:
        """Whether amounts of one can be expressed in the other."""
        return self.dimension == other.dimension


def _table() -> dict[str, tuple[Fraction, dict[str, int]]]:
    """Return every name with its multiple of base units. Names are lower case but for symbols."""
    energy = {"kg": 1, "m": 2, "s": -2}
    rows: list[tuple[str, str, dict[str, int]]] = [
        ("mm millimeter millimetre", "1/1000", {"m": 1}),
        ("cm centimeter centimetre", "1/100", {"m": 1}),
        ("dm decimeter decimetre", "1/10", {"m": 1}),
        ("m meter metre", "1", {"m": 1}),
        ("km kilometer kilometre", "1000", {"m": 1}),
        ("nm nanometer nanometre", "1/1000000000", {"m": 1}),
        ("\\mum micrometer micrometre micron", "1/1000000", {"m": 1}),
        ("\\AA angstrom", "1/10000000000", {"m": 1}),
        ("in in. inch inches '' \"", "127/5000", {"m": 1}),
        ("ft ft. foot feet '", "381/1250", {"m": 1}),
        ("yd yd. yds yard", "1143/1250", {"m": 1}),
        ("mi mi. mile", "201168/125", {"m": 1}),
        ("s sec sec. second", "1", {"s": 1}),
        ("ms millisecond", "1/1000", {"s": 1}),
        ("min min. mins minute", "60", {"s": 1}),
        ("h hr hr. hrs hour", "3600", {"s": 1}),
        ("day", "86400", {"s": 1}),
        ("week", "604800", {"s": 1}),
        ("month", "1", {"month": 1}),
        ("yr year", "12", {"month": 1}),
        ("mg milligram", "1/1000000", {"kg": 1}),
        ("g gram", "1/1000", {"kg": 1}),
        ("kg kilogram", "1", {"kg": 1}),
        ("oz oz. ounce", "1", {"oz": 1}),
        ("lb lb. lbs pound", "16", {"oz": 1}),
        ("ml mL milliliter millilitre", "1/1000000", {"m": 3}),
        ("l L liter litre", "1/1000", {"m": 3}),
        ("gal gallon", "4", {"quart": 1}),
        ("quart", "1", {"quart": 1}),
        ("dollar usd $", "100", {"cent": 1}),
        ("cent \\cent ¢", "1", {"cent": 1}),
        ("€ euro eur", "1", {"euro": 1}),
        ("£ gbp", "1", {"sterling": 1}),
        ("¥ yen", "1", {"yen": 1}),
        ("₹ rs rs. inr rupee", "1", {"rupee": 1}),
        ("deg degree", "1", {"degree": 1}),
        ("rad radian", "1", {"radian": 1}),
        ("K kelvin", "1", {"kelvin": 1}),
        ("degC", "1", {"celsius": 1}),
        ("degF", "1", {"fahrenheit": 1}),
        ("N newton", "1", {"kg": 1, "m": 1, "s": -2}),
        ("J joule", "1", energy),
        ("kJ kilojoule", "1000", energy),
        ("erg", "1/10000000", energy),
        ("eV", "1", {"eV": 1}),
        ("keV", "1000", {"eV": 1}),
        ("MeV", "1000000", {"eV": 1}),
        ("GeV", "1000000000", {"eV": 1}),
        ("W watt", "1", {"kg": 1, "m": 2, "s": -3}),
        ("kW kilowatt", "1000", {"kg": 1, "m": 2, "s": -3}),
        ("Pa pascal", "1", {"kg": 1, "m": -1, "s": -2}),
        ("kPa", "1000", {"kg": 1, "m": -1, "s": -2}),
        ("Hz hertz", "1", {"s": -1}),
        ("kHz", "1000", {"s": -1}),
        ("MHz", "1000000", {"s": -1}),
        ("V volt", "1", {"volt": 1}),
        ("A ampere amp", "1", {"ampere": 1}),
        ("C coulomb", "1", {"coulomb": 1}),
        ("\\Omega ohm", "1", {"ohm": 1}),
        ("mol mole", "1", {"mole": 1}),
        ("mph", "1397/3125", {"m": 1, "s": -1}),
        ("kmph kph", "5/18", {"m": 1, "s": -1}),
    ]
    return {n: (Fraction(f), d) for names, f, d in rows for n in names.split()}


_UNITS = _table()
_SQUARE = re.compile(r"^(?:square|sq\.?)\s+(.+)$|^(.+?)\s+squared$")
_CUBIC = re.compile(r"^(?:cubic|cu\.?)\s+(.+)$|^(.+?)\s+cubed$")
_POWER = re.compile(r"^(.+?)\s*\^\s*\{?\s*(-?[0-9]{1,2})\s*\}?$")
_SHORT_POWER = re.compile(r"^(mm|cm|dm|m|km|in|ft|yd|mi)([23])$")
_PER = re.compile(r"\s*/\s*|\s+per\s+")
_TIMES = re.compile(r"\s*\\cdot\s*|\s*\*\s*")


@lru_cache(maxsize=2048)
def unit(name: str) -> Unit | None:
    """Read a unit, e.g. ``cm``, ``square feet``, ``m/s^2``, ``miles per hour``; None if unknown."""
    factor, exponents = Fraction(1), dict[str, int]()
    over, *under = _PER.split(name.strip())
    for text, sign in [(over, 1), *((u, -1) for u in under)]:
        for known in _factors(text):
            if known is None:
                return None
            part, dimension, power = known
            factor *= part ** (sign * power)
            for base, exponent in dimension.items():
                exponents[base] = exponents.get(base, 0) + sign * power * exponent
    return Unit(factor, tuple(sorted((b, e) for b, e in exponents.items() if e)))


def _factors(text: str) -> list[tuple[Fraction, dict[str, int], int] | None]:
    """Read the units of a product, also without a sign: ``kg m``; None for one that is unknown."""
    factors: list[tuple[Fraction, dict[str, int], int] | None] = []
    for piece in _TIMES.split(text):
        whole = _power(piece.strip())
        factors.extend([whole] if whole else map(_power, piece.split()))
    return factors


def _power(text: str) -> tuple[Fraction, dict[str, int], int] | None:
    """Read one unit with its exponent: factor, dimension and exponent."""
    for pattern, power in ((_SQUARE, 2), (_CUBIC, 3)):
        if found := pattern.match(text):
            known = _named(found[1] or found[2])
            return (*known, power) if known else None
    if found := _POWER.match(text) or _SHORT_POWER.match(text):
        known = _named(found[1])
        return (*known, int(found[2])) if known else None
    known = _named(text)
    return (*known, 1) if known else None


def _named(text: str) -> tuple[Fraction, dict[str, int]] | None:
    name = text.strip()
    for spelling in (name, name.lower(), name.lower().removesuffix("s")):
        # A short name is a symbol: its case tells (mW and MW, s and S).
        if spelling in _UNITS and (spelling == name or len(name) > 3):
            return _UNITS[spelling]
    return None
