"""E7 with the clip: the policy loss against closed forms and autograd."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algorithms.losses import LossStats, k3, policy_loss
from algorithms.policy_loss_settings import CispoLoss, GspoLoss, PpoLoss, ReinforceLoss

PPO = PpoLoss(clip_low=0.2, clip_high=0.28)


def loss_of(ratio, advantage, weight=None, settings=PPO, **inputs):
    """Loss, gradient with respect to log pi, and statistics for given ratios."""
    old = torch.full((len(ratio),), -1.0, dtype=torch.float64)
    logprob = (old + torch.tensor(ratio, dtype=torch.float64).log()).requires_grad_()
    ones = [1.0] * len(ratio) if weight is None else weight
    loss, stats = policy_loss(
        settings,
        logprob,
        old,
        torch.tensor(advantage, dtype=torch.float64),
        torch.tensor(ones, dtype=torch.float64),
        **inputs,
    )
    loss.backward()
    return loss.item(), logprob.grad.tolist(), stats


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.0, 2.0, -2.0, -2.0),  # on policy: the gradient is -A
        (1.0, -2.0, 2.0, 2.0),
        (1.1, 2.0, -2.2, -2.2),  # inside the interval: -A r
        (0.9, -2.0, 1.8, 1.8),
        (1.5, 2.0, -2 * 1.28, 0.0),  # gained enough: clipped above
        (0.5, 2.0, -1.0, -1.0),  # a good token that fell is pulled back up
        (0.5, -2.0, 2 * 0.8, 0.0),  # fell enough: clipped below
        (1.5, -2.0, 3.0, 3.0),  # a bad token that rose is pushed down
        (1.25, 1.0, -1.25, -1.25),  # above 1 + low, below 1 + high: not clipped
    ],
)
def test_loss_and_gradient_in_every_region(ratio, advantage, loss, gradient):
    value, grads, stats = loss_of([ratio], [advantage])
    assert value == pytest.approx(loss)
    assert grads == pytest.approx([gradient])
    assert stats.clipped == int(gradient == 0.0)


def test_loss_is_the_weighted_sum():
    value, grads, stats = loss_of([1.0, 1.1, 1.5], [1.0, -1.0, 1.0], [0.5, 0.25, 0.0])
    assert value == pytest.approx(-0.5 + 0.25 * 1.1)
    assert grads == pytest.approx([-0.5, 0.275, 0.0])
    assert (stats.tokens, stats.clipped) == (2, 0)


token = st.tuples(st.floats(-1, 1), st.floats(-3, 3), st.floats(0, 1))


@given(st.lists(token, min_size=1, max_size=8), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_agrees_with_the_definition_and_finite_differences(rows, low, high):
    shift, advantage, weight = torch.tensor(rows, dtype=torch.float64).unbind(1)
    settings = PpoLoss(clip_low=low, clip_high=high)
    # Keep off the kinks, where one-sided derivatives differ.
    ratio = shift.exp()
    near = ((ratio - (1 - low)).abs() < 1e-3) | ((ratio - (1 + high)).abs() < 1e-3)
    shift = torch.where(near, 0.0, shift)
    old = torch.linspace(-3, -0.5, len(rows), dtype=torch.float64)

    def naive(logprob):
        total = 0.0
        for i in range(len(rows)):
            r = math.exp(logprob[i] - old[i])
            clipped = min(max(r, 1 - low), 1 + high)
            a = advantage[i].item()
            total -= weight[i].item() * min(a * r, a * clipped)
        return total

    logprob = (old + shift).requires_grad_()
    loss, _ = policy_loss(settings, logprob, old, advantage, weight)
    loss.backward()
    assert loss.item() == pytest.approx(naive(logprob.tolist()), rel=1e-9, abs=1e-12)
    for i in range(len(rows)):
        up, down = logprob.tolist(), logprob.tolist()
        up[i] += 1e-6
        down[i] -= 1e-6
        slope = (naive(up) - naive(down)) / 2e-6
        assert logprob.grad[i].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_statistics_are_means_over_weighted_tokens():
    _, _, stats = loss_of([1.5, 0.5, 1.0, 3.0], [1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 0.1, 0.0])
    logs = [math.log(1.5), math.log(0.5), 0.0]
    assert stats.tokens == 3
    assert stats.clip_ratio == pytest.approx(1 / 3)
    assert stats.kl_k1 == pytest.approx(-sum(logs) / 3)
    assert stats.kl_k3 == pytest.approx(sum(math.exp(x) - 1 - x for x in logs) / 3)


def test_statistics_of_micro_batches_add_up():
    ratios, advantages = [1.5, 0.5, 1.0, 0.7], [1.0, -1.0, 1.0, 1.0]
    _, _, whole = loss_of(ratios, advantages)
    _, _, first = loss_of(ratios[:1], advantages[:1])
    _, _, second = loss_of(ratios[1:], advantages[1:])
    merged = first + second
    assert (merged.tokens, merged.clipped) == (whole.tokens, whole.clipped) == (4, 2)
    assert merged.k1_sum == pytest.approx(whole.k1_sum)
    assert merged.k3_sum == pytest.approx(whole.k3_sum)
    assert LossStats().clip_ratio is LossStats().kl_k1 is LossStats().kl_k3 is None


def test_a_log_ratio_beyond_the_limit_stays_finite():
    logprob = torch.tensor([0.0, -200.0], requires_grad=True)
    old = torch.tensor([-200.0, 0.0])
    loss, stats = policy_loss(PPO, logprob, old, torch.tensor([-1.0, 1.0]), torch.ones(2))
    loss.backward()
    assert loss.item() == pytest.approx(math.exp(20.0) - math.exp(-20.0), rel=1e-6)
    assert torch.isfinite(logprob.grad).all()
    assert math.isfinite(stats.k3_sum)


def test_no_gradient_reaches_the_old_policy():
    old = torch.tensor([-1.0], requires_grad=True)
    logprob = torch.tensor([-1.1], requires_grad=True)
    loss, _ = policy_loss(PPO, logprob, old, torch.ones(1), torch.ones(1))
    loss.backward()
    assert old.grad is None


def test_a_token_outside_the_loss_cannot_spoil_it():
    logprob = torch.tensor([-1.0, -math.inf], requires_grad=True)
    old, weight = torch.tensor([-1.0, -math.inf]), torch.tensor([1.0, 0.0])
    loss, _ = policy_loss(PPO, logprob, old, torch.ones(2), weight)
    loss.backward()
    assert loss.item() == pytest.approx(-1.0)
    assert logprob.grad.tolist() == pytest.approx([-1.0, 0.0])


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (2.0, -1.0, 2.0, 2.0),  # below the bound: PPO's own loss
        (4.0, -1.0, 3.0, 0.0),  # a bad token that rose beyond c: bounded, no gradient
        (4.0, 1.0, -1.28, 0.0),  # a good token is none of its business
    ],
)
def test_dual_clip_bounds_the_loss_of_bad_tokens(ratio, advantage, loss, gradient):
    settings = PpoLoss(clip_low=0.2, clip_high=0.28, dual_clip=3.0)
    value, grads, stats = loss_of([ratio], [advantage], settings=settings)
    assert value == pytest.approx(loss)
    assert grads == pytest.approx([gradient])
    assert stats.clipped == int(gradient == 0.0)


def test_reinforce_has_no_ratio():
    value, grads, stats = loss_of([3.0, 0.1], [2.0, -1.0], settings=ReinforceLoss())
    logprobs = [-1 + math.log(3), -1 + math.log(0.1)]
    assert value == pytest.approx(-2 * logprobs[0] + logprobs[1])
    assert grads == pytest.approx([-2.0, 1.0])
    assert stats.clipped == 0


@pytest.mark.parametrize(
    ("low", "ratio", "factor"),
    [(None, 3.0, 1.28), (None, 0.1, 0.1), (0.2, 0.1, 0.8), (0.2, 1.1, 1.1)],
)
def test_cispo_keeps_the_gradient_of_clipped_tokens(low, ratio, factor):
    settings = CispoLoss(clip_low=low, clip_high=0.28)
    _, grads, stats = loss_of([ratio], [2.0], settings=settings)
    assert grads == pytest.approx([-2.0 * factor])
    assert stats.clipped == int(factor != ratio)


def test_gspo_clips_whole_sequences_by_their_mean_ratio():
    """Sequence 0 has the ratio sqrt(1.4 * 0.8) = 1.058, sequence 1 has 1.2: only 1 is clipped."""
    settings = GspoLoss(clip_low=0.1, clip_high=0.1)
    sequence = torch.tensor([0, 0, 1])
    value, grads, stats = loss_of(
        [1.4, 0.8, 1.2], [1.0, 1.0, 1.0], [0.5, 0.5, 1.0], settings, sequence=sequence
    )
    mean = math.sqrt(1.4 * 0.8)
    assert value == pytest.approx(-mean - 1.1)
    assert grads == pytest.approx([-0.5 * mean, -0.5 * mean, 0.0])
    assert stats.clipped == 1


def test_gspo_has_the_gradient_of_the_sequence_ratio():
    """With weights 1/|y| the token form is d(-A s)/d theta of the sequence form."""
    old = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
    logprob = (old + torch.tensor([0.01, -0.02, 0.03], dtype=torch.float64)).requires_grad_()
    weight, one = torch.full((3,), 1 / 3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    settings = GspoLoss(clip_low=0.5, clip_high=0.5)
    loss, _ = policy_loss(settings, logprob, old, 2 * one, weight, torch.zeros(3, dtype=torch.long))
    (got,) = torch.autograd.grad(loss, logprob)
    (expected,) = torch.autograd.grad(-2 * (logprob - old).mean().exp(), logprob)
    torch.testing.assert_close(got, expected)


def test_k3_estimates_the_kl_to_the_reference():
    """For tokens drawn from the policy, E[k3] is KL(policy || reference) exactly."""
    policy = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    reference = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    expected = (policy * (policy / reference).log()).sum()
    assert (policy * k3((policy / reference).log())).sum() == pytest.approx(expected.item())
    assert (k3(torch.linspace(-5, 5, 11)) >= 0).all()


def test_kl_and_entropy_terms_join_with_their_signs():
    settings = PpoLoss(kl_coefficient=0.5, entropy_coefficient=0.1)
    logprob = torch.tensor([-1.0], requires_grad=True)
    entropy = torch.tensor([0.7], requires_grad=True)
    reference = torch.tensor([-1.5])
    loss, stats = policy_loss(
        settings,
        logprob,
        torch.tensor([-1.0]),
        torch.tensor([0.0]),
        torch.tensor([2.0]),
        None,
        entropy,
        reference,
    )
    loss.backward()
    k = math.exp(-0.5) - 1 + 0.5
    assert loss.item() == pytest.approx(2 * (0.5 * k - 0.1 * 0.7))
    assert entropy.grad.item() == pytest.approx(-0.2)  # descending the loss raises the entropy
    assert logprob.grad.item() == pytest.approx(2 * 0.5 * (1 - math.exp(-0.5)))
    assert stats.reference_k3_sum == pytest.approx(k)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (PpoLoss(kl_coefficient=0.1), "reference"),
        (PpoLoss(entropy_coefficient=0.1), "entropy"),
        (GspoLoss(), "sequence"),
    ],
)
def test_an_input_that_is_needed_and_missing_is_named(settings, missing):
    with pytest.raises(ValueError, match=missing):
        loss_of([1.0], [1.0], settings=settings)
