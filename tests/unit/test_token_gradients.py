"""Gradient magnitudes of drawn tokens against autograd, and where float32 would lie."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from algorithms.token_gradients import (
    drawn_gradient_norm,
    exact_gradient_norms,
    expected_gradient_norm,
    lm_head_gradient_norm,
    token_columns,
)

TOKENS, WIDTH, VOCABULARY = 13, 6, 17


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator)
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator)
    return hidden, weight, torch.randint(VOCABULARY, (TOKENS,), generator=generator)


def columns(hidden, weight, targets, temperature=1.0, chunk=1024):
    found = token_columns(hidden, weight, targets, temperature, chunk)
    return {name: value.numpy() for name, value in found.__dict__.items()}


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_drawn_form_is_the_gradient_of_the_logits(batch, temperature) -> None:
    hidden, weight, targets = batch
    c = columns(*batch, temperature)
    logits = (hidden @ weight.t() / temperature).requires_grad_()
    logprob = torch.log_softmax(logits, -1).gather(1, targets[:, None]).sum()
    (gradient,) = torch.autograd.grad(logprob, logits)
    want = gradient.norm(dim=-1).numpy()
    assert drawn_gradient_norm(c["logprob"], c["square_sum"]) == pytest.approx(want, rel=1e-5)


def test_lm_head_form_is_the_gradient_of_the_projection(batch) -> None:
    hidden, weight, targets = batch
    c = columns(*batch)
    got = lm_head_gradient_norm(c["logprob"], c["square_sum"], c["hidden_norm"])
    for t in range(TOKENS):
        leaf = weight.clone().requires_grad_()
        torch.log_softmax(hidden[t] @ leaf.t(), -1)[targets[t]].backward()
        assert got[t] == pytest.approx(float(leaf.grad.norm()), rel=1e-5)


def test_expected_form_is_the_root_of_the_mean_square_over_all_tokens(batch) -> None:
    hidden, weight, _ = batch
    c = columns(*batch)
    p = torch.softmax(hidden @ weight.t(), -1).double()
    onehot = torch.eye(VOCABULARY).double()
    squares = (onehot[None] - p[:, None]).square().sum(-1)  # [T, V]: of each token that may come
    want = (p * squares).sum(-1).sqrt().numpy()
    assert expected_gradient_norm(c["logprob"], c["square_sum"]) == pytest.approx(want, rel=1e-5)


def test_columns_do_not_depend_on_the_chunk_and_have_closed_forms(batch) -> None:
    hidden, weight, targets = batch
    whole, small = columns(*batch, 0.7), columns(*batch, 0.7, chunk=4)
    for name, value in whole.items():
        assert small[name] == pytest.approx(value, rel=1e-5), name
    p = torch.softmax(hidden @ weight.t() / 0.7, -1)
    assert whole["entropy"] == pytest.approx((-(p * p.log()).sum(-1)).numpy(), rel=1e-4)
    plain = torch.softmax(hidden @ weight.t(), -1)
    want = -(plain * plain.log()).sum(-1)
    assert whole["entropy_untempered"] == pytest.approx(want.numpy(), rel=1e-4)
    assert whole["hidden_norm"] == pytest.approx(hidden.norm(dim=-1).numpy(), rel=1e-6)
    empty = token_columns(hidden[:0], weight, targets[:0])
    assert empty.logprob.shape == (0,)


def test_a_uniform_and_a_certain_token() -> None:
    n = 8
    uniform = np.array([math.log(1 / n)]), np.array([1 / n])
    assert drawn_gradient_norm(*uniform)[0] == pytest.approx(math.sqrt(1 - 1 / n))
    assert expected_gradient_norm(*uniform)[0] == pytest.approx(math.sqrt(1 - 1 / n))
    certain = np.array([0.0]), np.array([1.0])
    assert drawn_gradient_norm(*certain)[0] == 0.0
    assert expected_gradient_norm(*certain)[0] == 0.0


@pytest.mark.parametrize("noise", [-6e-8, 0.0, 6e-8])
def test_rounding_of_the_square_sum_does_not_drown_a_nearly_certain_token(noise) -> None:
    miss = 1e-6  # 1 - p_y, all of it on one other token.
    logprob = np.array([math.log1p(-miss)])
    square_sum = np.array([(1 - miss) ** 2 + miss**2 + noise])
    drawn = drawn_gradient_norm(logprob, square_sum)[0]
    assert miss * (1 - 1e-6) <= drawn <= math.sqrt(2) * miss * (1 + 1e-6)
    expected = expected_gradient_norm(logprob, square_sum)[0]
    assert expected == pytest.approx(math.sqrt(2 * miss), rel=1e-5)


def test_exact_norms_take_every_parameter_into_account() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3, bias=False))
    unused = nn.Parameter(torch.ones(2))
    inputs, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])

    def logprobs() -> torch.Tensor:
        return torch.log_softmax(model(inputs), -1).gather(1, targets[:, None]).squeeze(1)

    got = exact_gradient_norms(logprobs, [*model.parameters(), unused], [4, 1])
    for value, t in zip(got, [4, 1], strict=True):
        model.zero_grad()
        logprobs()[t].backward()
        want = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        assert value == pytest.approx(float(want), rel=1e-5)


def test_a_temperature_of_zero_has_no_distribution(batch) -> None:
    with pytest.raises(ValueError, match="temperature"):
        token_columns(*batch, temperature=0.0)
