"""Sums over tokens, gathered on every rank and added up at the end of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from algorithms.mismatch import mismatch
from services.learning.entropy_profile import EntropyProfile
from services.learning.samples import ScoredResponse

_KEYS = (
    "tokens",
    "entropy",
    "entropy_untempered",
    "mismatch_tokens",
    "mismatch_abs",
    "mismatch_k3",
    "trained_tokens",
    "clipped_tokens",
    "reference_k3",
    "loss",
)


@dataclass
class Tally:
    """Named sums of one rank."""

    sums: dict[str, float] = field(default_factory=dict)
    profile: EntropyProfile = field(default_factory=EntropyProfile)

    def add(self, name: str, value: float | Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def add_entropy(
        self, sequences: Sequence[ScoredResponse], entropy: Tensor, untempered: Tensor
    ) -> None:
        """Entropies of the tokens of sequences, one after another, shape [N] each, in nats."""
        if not sequences:
            return
        self.profile.add(sequences, entropy)
        self.add("tokens", len(entropy))
        self.add("entropy", entropy.double().sum())
        self.add("entropy_untempered", untempered.double().sum())

    def add_mismatch(self, logprob: Tensor, behaviour: Tensor) -> None:
        """Behaviour against learner, shape [N] each, before any gradient of the step."""
        found = mismatch(behaviour, logprob, torch.ones_like(logprob, dtype=torch.bool))
        self.add("mismatch_tokens", found.tokens)
        self.add("mismatch_abs", found.abs_sum)
        self.add("mismatch_k3", found.k3_sum)

    def reduced(self, device: torch.device) -> dict[str, float]:
        """Return the sums over all ranks. Collective: every rank must call it.

        Args:
            device: one that the process group can reduce on.
        """
        sums = [self.sums.get(n, 0.0) for n in _KEYS]
        total = torch.tensor(sums, dtype=torch.float64, device=device)
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(total)
        return dict(zip(_KEYS, total.tolist(), strict=True))
