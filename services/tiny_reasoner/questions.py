"""Multi-step arithmetic questions, in words and in symbols, with a split that cannot leak.

A question is a *chain*: a start value and a list of operations whose running total stays
between 0 and :data:`MAX_TOTAL`. The split is decided by a hash of the chain, never of its wording,
so a held-out chain is unseen in training in every phrasing.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

MAX_TOTAL = 30
"""Largest running total: the sums a model of one million parameters can learn exactly."""
MIN_OPS = 3
MAX_OPS = 5
HELDOUT_SHARE = 0.1
"""Share of all chains that belong to the held-out split."""

Split = Literal["train", "heldout"]
Op = tuple[Literal["+", "-"], int]

_PEOPLE = ("Mia", "Tom", "Ana", "Ben", "Eva", "Sam")
_THINGS = ("pens", "cards", "nuts", "coins", "shells", "stamps")
_GAINS = (
    "{who} finds {n} more.",
    "{who} buys {n} more.",
    "A friend gives {who} {n}.",
    "{who} wins {n}.",
)
_LOSSES = (
    "{who} loses {n}.",
    "{who} sells {n}.",
    "{who} gives away {n}.",
    "{who} drops {n}.",
)
INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""The prompt suffix of the paper's base models (DeepSeek-R1 model card)."""


@dataclass(frozen=True)
class Chain:
    """A start value and the operations applied to it, in order."""

    start: int
    ops: tuple[Op, ...]

    def totals(self) -> list[int]:
        """Return the running total after each operation."""
        total, out = self.start, []
        for sign, n in self.ops:
            total = total + n if sign == "+" else total - n
            out.append(total)
        return out

    @property
    def answer(self) -> int:
        return self.totals()[-1]

    def split(self) -> Split:
        """Return the split this chain belongs to, a pure function of the chain."""
        key = f"{self.start}" + "".join(f"{s}{n}" for s, n in self.ops)
        bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
        return "heldout" if bucket < HELDOUT_SHARE else "train"


@dataclass(frozen=True)
class Question:
    """One question as a person reads it, with its gold answer."""

    text: str
    chain: Chain

    @property
    def answer(self) -> str:
        return str(self.chain.answer)


def sample_chain(rng: random.Random, split: Split) -> Chain:
    """Draw a chain of the given split."""
    while True:
        start = rng.randint(2, 9)
        total, ops = start, []
        for _ in range(rng.randint(MIN_OPS, MAX_OPS)):
            n = rng.randint(1, 9)
            signs = [s for s, t in (("+", total + n), ("-", total - n)) if 0 <= t <= MAX_TOTAL]
            sign = rng.choice(signs)
            total = total + n if sign == "+" else total - n
            ops.append((sign, n))
        chain = Chain(start, tuple(ops))  # type: ignore[arg-type]
        if chain.split() == split:
            return chain


def _in_symbols(chain: Chain, rng: random.Random) -> str:
    body = f"{chain.start}" + "".join(f" {s} {n}" for s, n in chain.ops)
    return rng.choice((f"Compute {body}.", f"What is {body}?", f"{body} = ?"))


def _in_words(chain: Chain, rng: random.Random) -> str:
    who, what = rng.choice(_PEOPLE), rng.choice(_THINGS)
    parts = [f"{who} has {chain.start} {what}."]
    for sign, n in chain.ops:
        parts.append(rng.choice(_GAINS if sign == "+" else _LOSSES).format(who=who, n=n))
    parts.append(f"How many {what} does {who} have?")
    return " ".join(parts)


def sample_question(rng: random.Random, split: Split) -> Question:
    """Draw a question of the given split: half in words, half in symbols."""
    chain = sample_chain(rng, split)
    render = _in_words if rng.random() < 0.5 else _in_symbols
    return Question(text=render(chain, rng), chain=chain)
