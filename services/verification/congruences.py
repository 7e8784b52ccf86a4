r"""Congruences: ``n \equiv 3 \pmod 7`` and ``10 \pmod 7`` say the same; ``3`` is short for it."""

from __future__ import annotations

import re

from services.verification.spelling import canonical

_CONGRUENCE = re.compile(
    r"(?:([A-Za-z])\\equiv)?(-?[0-9]{1,18}(?:,-?[0-9]{1,18})*)\\pmod\{([0-9]{1,18})\}"
)
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def same_congruence(gold: str, answer: str) -> bool | None:
    """Whether two congruences have the same residues; None if neither is one.

    A modulus on one side only is ignored, where the residue is a single number.
    """
    texts = canonical(gold), canonical(answer)
    a, b = (_CONGRUENCE.fullmatch(t) for t in texts)
    if a is None or b is None:
        named, bare = (a, texts[1]) if a else (b, texts[0])
        plain = named and _INTEGER.fullmatch(named[2]) and _INTEGER.fullmatch(bare)
        return int(named[2]) == int(bare) if named and plain else None
    if not int(a[3]):
        return None
    if a[1] and b[1] and a[1] != b[1]:
        return False
    modulus = int(a[3])
    return modulus == int(b[3]) and _residues(a[2], modulus) == _residues(b[2], modulus)


def _residues(text: str, modulus: int) -> set[int]:
    return {int(n) % modulus for n in text.split(",")}
