"""Exact gradients of the tiny reasoner's own tokens."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from services.analysis.exact_gradients import exact_gradients, measure
from services.builtin import resolve_path

MODEL = resolve_path("builtin:tiny-reasoner")


def test_each_form_is_the_gradient_of_the_token_it_names() -> None:
    lm = AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32")
    prompt, response, temperature = [7, 8, 9, 10], [20, 21, 22, 23], 0.6
    found = measure(lm, prompt, response, [0, 3], temperature)
    for i, t in enumerate([0, 3]):
        lm.zero_grad()
        logits = lm(torch.tensor([prompt + response])).logits[0, len(prompt) + t - 1] / temperature
        logits.retain_grad()
        logprobs = torch.log_softmax(logits, -1)
        logprobs[response[t]].backward()
        square = sum(p.grad.double().square().sum() for p in lm.parameters() if p.grad is not None)
        assert found["exact"][i] == pytest.approx(math.sqrt(square.item()), rel=1e-4)
        assert found["drawn"][i] == pytest.approx(logits.grad.norm().item(), rel=1e-4)
        entropy = -(logprobs.exp() * logprobs).sum()
        assert found["entropy"][i] == pytest.approx(entropy.item(), rel=1e-3, abs=1e-6)


def test_an_evaluations_tokens_are_measured_as_many_as_asked_for() -> None:
    responses = [{"text": "1+2=3\nWait, let me check again.\n1+2=3\n</think>\n\\boxed{3}"}]
    records = [{"question": "Start with 1, add 2.", "responses": responses} for _ in range(3)]
    found = exact_gradients(MODEL, {"label": "base", "records": records}, "", 1.0, tokens=20)
    assert found.tokens == 20
    assert set(found.correlations) == {"drawn", "expected", "lm_head", "exact"}
    assert found.correlations["expected"]["spearman"] > 0.9
    assert found == exact_gradients(
        MODEL, {"label": "base", "records": records}, "", 1.0, tokens=20
    )


def test_an_evaluation_without_text_measures_nothing() -> None:
    records = [{"question": "?", "responses": [{"text": ""}]}]
    found = exact_gradients(MODEL, {"label": "base", "records": records}, "", 1.0, tokens=4)
    assert (found.tokens, found.correlations) == (0, {})
