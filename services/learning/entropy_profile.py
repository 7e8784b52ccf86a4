"""Token entropy of one step by part and by outcome, with percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from services.learning.samples import ScoredResponse

PERCENTILES = (50, 80, 95, 99)


class EntropyProfile:
    """Entropies of the tokens that one rank has scored in a step, at the sampling temperature, and
    beside them what sampling says for free: minus the behaviour log-probability of each token,
    whose mean estimates the same entropy without a look at the rest of the vocabulary."""

    def __init__(self) -> None:
        self._columns: list[NDArray[np.float32]] = []

    def add(self, sequences: Sequence[ScoredResponse], entropy: Tensor) -> None:
        """Take the entropies [N] of the tokens of these sequences, one after another, in nats."""
        counts = [len(s.response) for s in sequences]
        thinking = [np.arange(n) < s.think_length for s, n in zip(sequences, counts, strict=True)]
        correct = np.repeat([s.correct for s in sequences], counts)
        surprisal = -np.concatenate([s.behaviour_logprobs for s in sequences])
        rows = [entropy.detach().cpu().numpy(), surprisal, np.concatenate(thinking), correct]
        self._columns.append(np.stack(rows).astype(np.float32))

    def figures(self) -> dict[str, Any]:
        """Return the profile over all ranks; None for what no token belongs to. Collective.

        ``think`` and ``answer``: mean before and after the end of ``</think>``. ``correct`` and
        ``incorrect``: mean over judged responses. ``p50`` and so on: percentiles. ``sampled`` has
        the same of the sampled estimate, with ``mean`` over every token.
        """
        mine = np.concatenate([np.zeros((4, 0), np.float32), *self._columns], axis=1)
        parts: list[Any] = [mine]
        if dist.is_initialized() and dist.get_world_size() > 1:
            parts = [None] * dist.get_world_size()
            dist.all_gather_object(parts, mine)
        entropy, surprisal, thinking, correct = np.concatenate(parts, axis=1)
        sampled = {"mean": _mean(surprisal), **_profile(surprisal, thinking, correct)}
        return {**_profile(entropy, thinking, correct), "sampled": sampled}


def _profile(
    values: NDArray[np.float32], thinking: NDArray[np.float32], correct: NDArray[np.float32]
) -> dict[str, float | None]:
    levels = np.percentile(values, PERCENTILES) if len(values) else [None] * len(PERCENTILES)
    return {
        "think": _mean(values[thinking == 1]),
        "answer": _mean(values[thinking == 0]),
        "correct": _mean(values[correct == 1]),
        "incorrect": _mean(values[correct == 0]),
        **{
            f"p{p}": None if level is None else float(level)
            for p, level in zip(PERCENTILES, levels, strict=True)
        },
    }


def _mean(values: NDArray[np.float32]) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None
