"""Log-probability and entropy of tokens from hidden states, a chunk of logits at a time."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from algorithms.token_gradients import token_columns


def token_logprob_entropy(
    hidden: Float[Tensor, "T H"],
    weight: Float[Tensor, "V H"],
    targets: Integer[Tensor, " T"],
    temperature: float = 1.0,
    chunk: int = 1024,
    entropy_gradient: bool = False,
) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"], Float[Tensor, " T"]]:
    """Return ``log p(target)``, the entropy of p, and the entropy at temperature 1.

    ``p = softmax(hidden @ weight.T / temperature)``, the distribution tokens were drawn from.
    Logits exist for ``chunk`` tokens at a time, forward and backward, so memory grows with
    ``chunk * V`` instead of ``T * V``; the backward pass computes each chunk again. Arithmetic is
    in float32 whatever the inputs; low-precision inputs cost a float32 copy of ``weight`` for the
    time of the call. Gradients come back in the dtype of their input, the one of ``weight`` summed
    in float32 first.

    Args:
        hidden: final hidden states, each at the position before its target, shape [T, H].
        weight: output projection, shape [V, H].
        targets: drawn tokens, shape [T].
        temperature: sampling temperature, positive.
        chunk: tokens whose logits exist at the same time.
        entropy_gradient: whether the entropy of p carries gradient, for an entropy bonus.

    Returns:
        Three float32 tensors of shape [T], in nats. The log-probability carries gradient, the
        entropy of p if asked, the entropy at temperature 1 never.

    Raises:
        ValueError: the temperature or the chunk is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}; log-probabilities need a positive one")
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1 token")
    outputs: tuple[Tensor, Tensor, Tensor] = _ChunkedLogprob.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets, float(temperature), chunk, entropy_gradient
    )
    return outputs


class _ChunkedLogprob(torch.autograd.Function):
    """With ``z = h W^T / tau`` and ``p = softmax(z)``: ``d log p_y / dz = e_y - p`` and
    ``dH / dz = -p (log p + H)``."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        temperature: float,
        chunk: int,
        entropy_gradient: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        count = hidden.shape[0]
        logprob = torch.empty(count, dtype=torch.float32, device=hidden.device)
        normaliser = torch.empty_like(logprob)
        entropy = torch.empty_like(logprob)
        untempered = torch.empty_like(logprob)
        with torch.autocast(hidden.device.type, enabled=False):
            projection = weight.float().t()
            for start in range(0, count, chunk):
                part = slice(start, start + chunk)
                logits = hidden[part].float() @ projection
                shift: Tensor | float = 0.0
                if temperature != 1.0:
                    shift = _normalise(logits) / temperature
                    untempered[part] = _entropy(logits)
                    logits.div_(temperature)
                normaliser[part] = _normalise(logits) + shift
                logprob[part] = logits.gather(1, targets[part].long().unsqueeze(1)).squeeze(1)
                entropy[part] = _entropy(logits)
        if temperature == 1.0:
            untempered.copy_(entropy)
        ctx.save_for_backward(hidden, weight, targets, normaliser, entropy)
        ctx.temperature, ctx.chunk, ctx.entropy_gradient = temperature, chunk, entropy_gradient
        ctx.mark_non_differentiable(*([untempered] if entropy_gradient else [entropy, untempered]))
        return logprob, entropy, untempered

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, normaliser, entropy = ctx.saved_tensors
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.float()
            for start in range(0, hidden.shape[0], ctx.chunk):
                part = slice(start, start + ctx.chunk)
                states = hidden[part].float()
                scale = (grads[0][part].float() / ctx.temperature).unsqueeze(1)
                # In place, one [chunk, V] buffer: logits, then -p, then (e_y - p) * scale.
                delta = (states @ matrix.t()).div_(ctx.temperature)
                delta.sub_(normaliser[part].unsqueeze(1))
                if ctx.entropy_gradient:
                    pull = (grads[1][part].float() / ctx.temperature).unsqueeze(1)
                    slope = (delta + entropy[part].unsqueeze(1)).mul_(pull).add_(scale)
                    delta.exp_().mul_(slope.neg_())
                else:
                    delta.exp_().mul_(-scale)
                delta.scatter_add_(1, targets[part].long().unsqueeze(1), scale)
                if grad_hidden is not None:
                    grad_hidden[part] = (delta @ matrix).to(hidden.dtype)
                if grad_weight is not None:
                    grad_weight.addmm_(delta.t(), states)
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
        return grad_hidden, grad_weight, None, None, None, None


def _normalise(logits: Tensor) -> Tensor:
    """Turn logits [chunk, V] into log-probabilities in place; return what was subtracted."""
    normaliser = torch.logsumexp(logits, dim=-1)
    logits.sub_(normaliser.unsqueeze(1))
    return normaliser


def _entropy(logprobs: Tensor) -> Tensor:
    """Return ``H = -sum_v p_v log p_v``, shape [chunk], with one buffer of its own."""
    return -logprobs.exp().mul_(logprobs).sum(dim=-1)


class ChunkedHead(nn.Module):
    """Output projection that yields log-probabilities and entropies instead of logits.

    It holds the very parameter of the model's ``lm_head``. The function above runs inside
    ``forward``, so that DeepSpeed's ZeRO-3 hooks, which work on modules, gather the partitioned
    parameter before it is used, in both passes.
    """

    def __init__(self, weight: nn.Parameter, chunk: int = 1024) -> None:
        """Share ``weight`` of shape [V, H]; ``chunk`` is in tokens."""
        super().__init__()
        self.weight = weight
        self.chunk = chunk

    def forward(
        self,
        hidden: Float[Tensor, "T H"],
        targets: Integer[Tensor, " T"],
        temperature: float = 1.0,
        entropy_gradient: bool = False,
        measure: bool = False,
    ) -> tuple[Float[Tensor, " T"], ...]:
        """See :func:`token_logprob_entropy`; with ``measure``, the fields of
        :class:`algorithms.token_gradients.TokenColumns` in their order, without gradient."""
        if measure:
            seen = token_columns(hidden, self.weight, targets, temperature, self.chunk)
            # A plain tuple: DeepSpeed looks into what a module returns.
            columns = (seen.logprob, seen.entropy, seen.entropy_untempered)
            return (*columns, seen.square_sum, seen.hidden_norm)
        return token_logprob_entropy(
            hidden, self.weight, targets, temperature, self.chunk, entropy_gradient
        )
