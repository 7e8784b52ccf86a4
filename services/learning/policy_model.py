"""A causal language model that returns log-probabilities and entropies instead of logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from algorithms.logprob import ChunkedHead


class PolicyModel(nn.Module):
    """Backbone and a chunked head over a Hugging Face causal LM.

    ``lm`` keeps the original module, so names, tied weights and saving are the library's own; its
    own head is never called.
    """

    def __init__(self, lm: Any, chunk: int) -> None:
        super().__init__()
        self.lm: Any = lm
        self.head = ChunkedHead(lm.get_output_embeddings().weight, chunk)

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor,
        targets: Tensor,
        temperature: float,
        entropy_gradient: bool = False,
        measure: bool = False,
    ) -> tuple[Tensor, ...]:
        """Score the response tokens of a right-padded batch.

        Args:
            input_ids: [B, S] token ids. Padding on the right needs no mask: attention is causal
                and padded positions are never read.
            positions: [N] indices into the flattened [B * S] positions whose *next* token is
                scored.
            targets: [N] those next tokens.
            temperature: the one the tokens were sampled at.
            entropy_gradient: whether the entropy carries gradient too.
            measure: return what a token analysis needs instead.

        Returns:
            log-probability [N] (with gradient), entropy [N] at ``temperature`` and at 1, in nats.
        """
        hidden = self.lm.model(input_ids=input_ids, use_cache=False).last_hidden_state
        picked = hidden.flatten(0, 1).index_select(0, positions)
        scored: tuple[Tensor, ...] = self.head(
            picked, targets, temperature, entropy_gradient, measure
        )
        return scored


def load_policy(path: Path, dtype: torch.dtype, chunk: int) -> PolicyModel:
    """Load safetensors weights only; never code from the checkpoint."""
    lm = AutoModelForCausalLM.from_pretrained(
        path, dtype=dtype, use_safetensors=True, trust_remote_code=False
    )
    lm.config.use_cache = False
    return PolicyModel(lm, chunk)
