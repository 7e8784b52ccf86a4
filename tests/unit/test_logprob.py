"""Chunked log-probability and entropy against a naive float64 implementation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from algorithms.logprob import ChunkedHead, token_logprob_entropy
from benchmarks.largest_tensor import LargestTensor


def problem(tokens, vocab, width, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, width, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(vocab, width, generator=generator).to(dtype).requires_grad_()
    targets = torch.randint(0, vocab, (tokens,), generator=generator)
    return hidden, weight, targets


def naive(hidden, weight, targets, temperature):
    """All logits at once, in float64."""
    logits = hidden @ weight.t()
    logp = torch.log_softmax(logits / temperature, -1)
    plain = torch.log_softmax(logits, -1)
    return (
        logp.gather(1, targets[:, None])[:, 0],
        -(logp.exp() * logp).sum(-1),
        -(plain.exp() * plain).sum(-1),
    )


@settings(max_examples=40)
@given(
    tokens=st.integers(1, 20),
    vocab=st.integers(1, 30),
    width=st.integers(1, 8),
    chunk=st.integers(1, 25),
    temperature=st.sampled_from([0.3, 0.6, 1.0, 1.7]),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients_match_float64_autograd(
    tokens, vocab, width, chunk, temperature, seed
):
    hidden, weight, targets = problem(tokens, vocab, width, seed)
    exact_hidden = hidden.detach().double().requires_grad_()
    exact_weight = weight.detach().double().requires_grad_()
    got = token_logprob_entropy(hidden, weight, targets, temperature, chunk)
    expected = naive(exact_hidden, exact_weight, targets, temperature)
    for mine, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(mine.double(), reference, rtol=1e-5, atol=1e-4)
    upstream = torch.linspace(-1, 2, tokens)
    got[0].backward(upstream)
    expected[0].backward(upstream.double())
    torch.testing.assert_close(hidden.grad.double(), exact_hidden.grad, rtol=1e-4, atol=2e-4)
    torch.testing.assert_close(weight.grad.double(), exact_weight.grad, rtol=1e-4, atol=5e-4)


def test_gradient_matches_finite_differences():
    hidden, weight, targets = problem(3, 5, 2)
    token_logprob_entropy(hidden, weight, targets, 0.6, 2)[0].sum().backward()
    for parameter in (hidden, weight):
        for index in range(parameter.numel()):
            values = []
            for change in (1e-6, -1e-6):
                moved = {id(p): p.detach().double() for p in (hidden, weight)}
                moved[id(parameter)].view(-1)[index] += change
                found = naive(moved[id(hidden)], moved[id(weight)], targets, 0.6)[0]
                values.append(found.sum().item())
            slope = (values[0] - values[1]) / 2e-6
            assert parameter.grad.view(-1)[index].item() == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_the_chunk_does_not_change_the_result():
    hidden, weight, targets = problem(50, 40, 8)
    whole = token_logprob_entropy(hidden, weight, targets, 0.6, 1000)
    for chunk in (1, 7, 49, 50):
        for a, b in zip(
            token_logprob_entropy(hidden, weight, targets, 0.6, chunk), whole, strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_only_the_logprob_carries_gradient():
    logprob, entropy, untempered = token_logprob_entropy(*problem(4, 6, 3), 0.6, 2)
    assert logprob.requires_grad
    assert not entropy.requires_grad
    assert not untempered.requires_grad


def test_entropy_of_the_uniform_distribution_is_log_v():
    hidden, weight, targets = torch.zeros(3, 2), torch.ones(16, 2), torch.zeros(3, dtype=torch.long)
    logprob, entropy, untempered = token_logprob_entropy(hidden, weight, targets, 0.5, 2)
    expected = torch.full((3,), 16.0).log()
    torch.testing.assert_close(entropy, expected)
    torch.testing.assert_close(untempered, expected)
    torch.testing.assert_close(logprob, -expected)


def test_a_cooler_distribution_has_less_entropy():
    _, cool, plain = token_logprob_entropy(*problem(20, 30, 4), 0.6, 8)
    assert (cool < plain).all()
    _, hot, plain = token_logprob_entropy(*problem(20, 30, 4), 1.5, 8)
    assert (hot > plain).all()
    _, same, plain = token_logprob_entropy(*problem(20, 30, 4), 1.0, 8)
    assert torch.equal(same, plain)


def test_extreme_logits_stay_finite():
    hidden = torch.tensor([[3e3], [-3e3]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.5]], requires_grad=True)
    logprob, entropy, _ = token_logprob_entropy(hidden, weight, torch.tensor([0, 1]), 0.6, 1)
    logprob.sum().backward()
    assert logprob.tolist() == [0.0, 0.0]
    assert entropy.tolist() == [0.0, 0.0]
    assert torch.isfinite(hidden.grad).all()
    assert torch.isfinite(weight.grad).all()


def test_low_precision_inputs_are_computed_in_float32():
    hidden, weight, targets = problem(300, 40, 16, dtype=torch.bfloat16)
    exact_hidden = hidden.detach().double().requires_grad_()
    exact_weight = weight.detach().double().requires_grad_()
    got = token_logprob_entropy(hidden, weight, targets, 0.6, 8)
    expected = naive(exact_hidden, exact_weight, targets, 0.6)
    for mine, reference in zip(got, expected, strict=True):
        assert mine.dtype == torch.float32
        # bfloat16 logits would be off by about 0.03.
        torch.testing.assert_close(mine.double(), reference, rtol=1e-5, atol=5e-5)
    got[0].sum().backward()
    expected[0].sum().backward()
    assert hidden.grad.dtype == weight.grad.dtype == torch.bfloat16
    # One rounding at the end: 2^-8 relative. Summing 38 chunks in bfloat16 would be far worse.
    torch.testing.assert_close(weight.grad.double(), exact_weight.grad, rtol=2**-8, atol=1e-3)
    torch.testing.assert_close(hidden.grad.double(), exact_hidden.grad, rtol=2**-8, atol=1e-3)


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_no_tensor_of_tokens_times_vocabulary_is_ever_made(temperature):
    tokens, vocab, width, chunk = 512, 600, 16, 32
    hidden, weight, targets = problem(tokens, vocab, width)
    with LargestTensor() as seen:
        token_logprob_entropy(hidden, weight, targets, temperature, chunk)[0].sum().backward()
    # A chunk of logits, and no more: hidden states and weights are smaller here.
    assert seen.elements == chunk * vocab, seen.operation
    with LargestTensor() as seen:
        naive(hidden, weight, targets, temperature)[0].sum().backward()
    assert seen.elements == tokens * vocab


def test_head_shares_the_parameter_and_trains_it():
    _, _, targets = problem(6, 9, 4)
    lm_head = nn.Linear(4, 9, bias=False)
    head = ChunkedHead(lm_head.weight, chunk=4)
    assert next(head.parameters()) is lm_head.weight
    hidden = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    head(hidden, targets, 0.6)[0].sum().backward()
    mine = lm_head.weight.grad.clone()
    lm_head.zero_grad()
    naive(hidden, lm_head.weight, targets, 0.6)[0].sum().backward()
    torch.testing.assert_close(mine, lm_head.weight.grad, rtol=1e-4, atol=1e-5)


def test_tied_embeddings_collect_both_gradients():
    _, weight, targets = problem(6, 9, 4)
    embedding = nn.Parameter(weight.detach().clone())
    ChunkedHead(embedding, 2)(embedding[targets], targets)[0].sum().backward()
    reference = nn.Parameter(weight.detach().clone())
    naive(reference[targets], reference, targets, 1.0)[0].sum().backward()
    torch.testing.assert_close(embedding.grad, reference.grad, rtol=1e-4, atol=1e-5)


def test_a_frozen_head_gets_no_gradient():
    hidden, weight, targets = problem(6, 9, 4)
    token_logprob_entropy(hidden, weight.detach(), targets, 0.6, 4)[0].sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_no_tokens_is_not_an_error():
    hidden, weight, _ = problem(0, 9, 4)
    outputs = token_logprob_entropy(hidden, weight, torch.zeros(0, dtype=torch.long), 0.6, 4)
    assert [len(o) for o in outputs] == [0, 0, 0]
    outputs[0].sum().backward()
    assert weight.grad.abs().sum() == 0


@pytest.mark.parametrize(
    ("temperature", "chunk", "match"), [(0.0, 4, "temperature is 0"), (1.0, 0, "chunk is 0")]
)
def test_impossible_settings_are_refused(temperature, chunk, match):
    with pytest.raises(ValueError, match=match):
        token_logprob_entropy(*problem(2, 3, 2), temperature, chunk)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_the_entropy_carries_its_gradient_when_asked(temperature):
    torch.manual_seed(1)
    hidden = torch.randn(7, 5, dtype=torch.float64)
    weight = torch.randn(11, 5, dtype=torch.float64)
    targets = torch.randint(0, 11, (7,))
    pull = torch.randn(7, dtype=torch.float64)
    h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    logp = (h @ w.t() / temperature).log_softmax(-1)
    entropy = -(logp.exp() * logp).sum(-1)
    expected = torch.autograd.grad(
        (pull * entropy).sum() - logp.gather(1, targets[:, None]).sum(), (h, w)
    )
    h32, w32 = hidden.float().requires_grad_(), weight.float().requires_grad_()
    logprob, got, untempered = token_logprob_entropy(h32, w32, targets, temperature, 3, True)
    assert not untempered.requires_grad
    found = torch.autograd.grad((pull.float() * got).sum() - logprob.sum(), (h32, w32))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.double(), b, atol=1e-5, rtol=1e-5)
