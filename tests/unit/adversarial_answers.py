"""Answers that are hard to judge, of every kind."""

from __future__ import annotations

from tests.unit.adversarial.expressions import EXPRESSIONS
from tests.unit.adversarial.hacks import HACKS
from tests.unit.adversarial.numbers import NUMBERS
from tests.unit.adversarial.structures import STRUCTURES

CASES = [*NUMBERS, *HACKS, *STRUCTURES, *EXPRESSIONS]
