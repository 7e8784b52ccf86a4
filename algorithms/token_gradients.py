"""How large a gradient each drawn token sends into the model, in three forms (paper, figure 3d).

With ``z`` the logits divided by the temperature, ``p = softmax(z)`` and ``y`` the drawn token,
``d log p_y / dz = e_y - p``. So

* ``drawn``:    ``||e_y - p|| = sqrt(1 - 2 p_y + sum_v p_v^2)``;
* ``expected``: ``sqrt(E_{y~p} ||e_y - p||^2) = sqrt(1 - sum_v p_v^2)``;
* ``lm_head``:  ``||e_y - p|| * ||h||``, the Frobenius norm of the gradient of the output projection
  ``d log p_y / dW = (e_y - p) h^T``, up to the factor 1 / temperature of a step;
* exact: the norm over all parameters, token by token, with autograd.

A policy gradient multiplies each by ``|A|``.

**Caveat.** ``expected`` is a function of the very distribution whose entropy it is compared with:
both vanish for a certain token and both are largest for a uniform one. A high correlation of the
two is close to an identity and no finding about training. ``drawn`` and ``lm_head`` share most of
that; only the exact form adds what the rest of the network does with the signal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor

from algorithms.arrays import Array


def drawn_gradient_norm(
    logprob: Shaped[Array, " T"], square_sum: Shaped[Array, " T"]
) -> Float[Array, " T"]:
    """Return ``||e_y - p||_2``, within [0, sqrt 2].

    Args:
        logprob: ``log p_y`` of the drawn tokens, in nats, shape [T].
        square_sum: ``sum_v p_v^2``, shape [T].
    """
    miss = -np.expm1(np.asarray(logprob, np.float64))  # 1 - p_y without cancellation.
    norm: Float[Array, " T"] = np.sqrt(miss * miss + _others(miss, square_sum))
    return norm


def expected_gradient_norm(
    logprob: Shaped[Array, " T"], square_sum: Shaped[Array, " T"]
) -> Float[Array, " T"]:
    """Return ``sqrt(1 - sum_v p_v^2)``, within [0, 1); see the caveat above.

    ``logprob`` changes nothing but the rounding: where the drawn token is nearly certain, ``1 - sum
    p^2`` in float32 would be noise.
    """
    miss = -np.expm1(np.asarray(logprob, np.float64))
    norm: Float[Array, " T"] = np.sqrt(miss * (2.0 - miss) - _others(miss, square_sum))
    return norm


def lm_head_gradient_norm(
    logprob: Shaped[Array, " T"],
    square_sum: Shaped[Array, " T"],
    hidden_norm: Shaped[Array, " T"],
) -> Float[Array, " T"]:
    """Return ``||e_y - p|| * ||h||``, h the hidden state that the output projection reads."""
    return drawn_gradient_norm(logprob, square_sum) * np.asarray(hidden_norm, np.float64)


def _others(miss: Float[Array, " T"], square_sum: Shaped[Array, " T"]) -> Float[Array, " T"]:
    """``sum_{v != y} p_v^2``, kept within [0, (1 - p_y)^2], where it lies by definition.

    ``square_sum`` comes in float32: beside a nearly certain token its rounding error is larger than
    the whole remainder. The bound keeps the norms within a factor sqrt 2 of the truth there.
    """
    rest = np.asarray(square_sum, np.float64) - (1.0 - miss) ** 2
    return np.clip(rest, 0.0, miss * miss)


@dataclass(frozen=True)
class TokenColumns:
    """What the closed forms and the entropy figures need of each token, float32, shape [T]."""

    logprob: Float[Tensor, " T"]
    """``log p_y`` at the sampling temperature, in nats."""
    entropy: Float[Tensor, " T"]
    """Of the distribution the token was drawn from, in nats."""
    entropy_untempered: Float[Tensor, " T"]
    """The same at temperature 1."""
    square_sum: Float[Tensor, " T"]
    """``sum_v p_v^2`` at the sampling temperature."""
    hidden_norm: Float[Tensor, " T"]
    """``||h||_2``."""


@torch.no_grad()
def token_columns(
    hidden: Float[Tensor, "T H"],
    weight: Float[Tensor, "V H"],
    targets: Integer[Tensor, " T"],
    temperature: float = 1.0,
    chunk: int = 1024,
) -> TokenColumns:
    """Compute the columns, with logits for ``chunk`` tokens at a time.

    Args:
        hidden: final hidden states, each at the position before its target, shape [T, H].
        weight: output projection, shape [V, H].
        targets: drawn tokens, shape [T].
        temperature: sampling temperature, positive.
        chunk: tokens whose logits exist at the same time.

    Raises:
        ValueError: the temperature or the chunk is not positive.
    """
    if temperature <= 0 or chunk < 1:
        raise ValueError(
            f"temperature ({temperature}) and chunk ({chunk}) must be positive to measure tokens"
        )
    parts: list[tuple[Tensor, ...]] = []
    projection = weight.float().t()
    for start in range(0, max(1, len(targets)), chunk):
        states = hidden[start : start + chunk].float()
        drawn = targets[start : start + chunk].long().unsqueeze(1)
        plain = torch.log_softmax(states @ projection, dim=-1)
        tempered = plain if temperature == 1 else torch.log_softmax(plain / temperature, dim=-1)
        p = tempered.exp()
        parts.append(
            (
                tempered.gather(1, drawn).squeeze(1),
                -(p * tempered).sum(-1),
                -(plain.exp() * plain).sum(-1),
                p.square().sum(-1),
                torch.linalg.vector_norm(states, dim=-1),
            )
        )
    return TokenColumns(*(torch.cat(column) for column in zip(*parts, strict=True)))


def exact_gradient_norms(
    logprobs: Callable[[], Float[Tensor, " T"]],
    parameters: Sequence[Tensor],
    positions: Sequence[int],
) -> list[float]:
    """Return ``||d log p_{y_t} / d theta||_2`` over all ``parameters``, for each position t.

    One backward pass through the whole model a token: for a small sample, apart from training.

    Args:
        logprobs: runs the model and returns the log-probabilities of the drawn tokens, shape [T].
        parameters: the tensors to differentiate for; one that a token does not reach counts as 0.
        positions: tokens to measure, indices into T.
    """
    values = logprobs()
    norms = []
    for t in positions:
        gradients = torch.autograd.grad(values[t], parameters, retain_graph=True, allow_unused=True)
        square = sum(float(g.double().square().sum()) for g in gradients if g is not None)
        norms.append(square**0.5)
    return norms
