"""Learner against generator log-probabilities."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algorithms.mismatch import Mismatch, mismatch


def compare(behaviour, learner, mask=None):
    kept = [True] * len(behaviour) if mask is None else mask
    return mismatch(
        torch.tensor(behaviour), torch.tensor(learner), torch.tensor(kept, dtype=torch.bool)
    )


def test_closed_form_and_sign():
    # The learner finds the first token likelier by 0.5 nats and the second less likely by 0.25.
    found = compare([-1.0, -1.0, -9.0], [-0.5, -1.25, 0.0], [True, True, False])
    assert found.tokens == 2
    assert found.abs_mean == pytest.approx(0.375)
    assert found.abs_max == pytest.approx(0.5)
    assert found.kl_k1 == pytest.approx(-0.125)
    expected = (math.exp(0.5) - 1 - 0.5 + math.exp(-0.25) - 1 + 0.25) / 2
    assert found.kl_k3 == pytest.approx(expected)


def test_both_estimates_have_the_divergence_as_their_mean():
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor([0.5, 0.3, 0.2])
    q = torch.tensor([0.4, 0.4, 0.2])
    drawn = torch.multinomial(p, 200_000, replacement=True, generator=generator)
    found = mismatch(p.log()[drawn], q.log()[drawn], torch.ones(len(drawn), dtype=torch.bool))
    exact = (p * (p / q).log()).sum().item()
    assert found.kl_k1 == pytest.approx(exact, abs=2e-3)
    assert found.kl_k3 == pytest.approx(exact, abs=5e-4)


@given(st.lists(st.tuples(st.floats(-30, 0), st.floats(-30, 0)), min_size=2, max_size=20))
def test_parts_add_up_and_k3_is_never_negative(pairs):
    behaviour, learner = (list(column) for column in zip(*pairs, strict=True))
    whole = compare(behaviour, learner)
    parts = compare(behaviour[:1], learner[:1]) + compare(behaviour[1:], learner[1:])
    assert parts.tokens == whole.tokens
    assert parts.abs_max == whole.abs_max
    for name in ("abs_sum", "k1_sum", "k3_sum"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)
    assert whole.k3_sum >= -1e-12


def test_nothing_compared_gives_none():
    nothing = compare([-1.0], [-2.0], [False])
    assert nothing == Mismatch()
    assert nothing.abs_mean is nothing.kl_k1 is nothing.kl_k3 is None


def test_one_absurd_token_stays_finite():
    assert math.isfinite(compare([-2000.0], [0.0]).k3_sum)
