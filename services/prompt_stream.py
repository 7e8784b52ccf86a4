"""The order in which questions are asked: one seeded permutation an epoch, with a saved cursor."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any

from services.datasets import Question


def derive_seed(*parts: object) -> int:
    """Return a 31-bit seed that depends on every part and on nothing else."""
    text = "\x1f".join(str(p) for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


class PromptStream:
    """An endless stream over a finite set of questions."""

    def __init__(self, questions: Sequence[Question], seed: int) -> None:
        if not questions:
            raise ValueError("a prompt stream needs at least one question")
        self._questions = list(questions)
        self._seed = seed
        self._epoch, self._position = 0, 0
        self._order = self._permutation(0)

    def take(self, count: int) -> list[Question]:
        """Return the next ``count`` questions; a new epoch begins where one ends."""
        out: list[Question] = []
        while len(out) < count:
            if self._position == len(self._order):
                self._epoch, self._position = self._epoch + 1, 0
                self._order = self._permutation(self._epoch)
            out.append(self._questions[self._order[self._position]])
            self._position += 1
        return out

    def restart(self) -> None:
        """Go back to the first question of the first epoch."""
        self.load_state_dict({"epoch": 0, "position": 0})

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._epoch, self._position = state["epoch"], state["position"]
        self._order = self._permutation(self._epoch)

    def _permutation(self, epoch: int) -> list[int]:
        order = list(range(len(self._questions)))
        random.Random(derive_seed(self._seed, "epoch", epoch)).shuffle(order)
        return order
