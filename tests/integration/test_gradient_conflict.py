"""Gradients of two objectives on one batch, against autograd written out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen2ForCausalLM

from algorithms.conflict import contrast, cosine, share
from algorithms.objectives import Compress, Entangled, Explore
from algorithms.stage import Stage
from services.learning.gradient_conflict import gradient_conflict
from services.learning.policy_model import PolicyModel, load_policy
from services.learning.samples import Update, build_update, shard
from tests.integration.learner_reference import (
    TEMPERATURE,
    make_groups,
    reference_logprobs,
    save_small_model,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    save_small_model(path)
    return path


def measure(model: PolicyModel, updates: tuple[Update, Update], connectors: list[int]):
    return gradient_conflict(
        model,
        updates,
        TEMPERATURE,
        lambda sequences: shard(sequences, 0, 1, 64),
        connectors,
        torch.device("cpu"),
    )


def scored(folder: Path, name: str) -> Update:
    return build_update(make_groups(Qwen2ForCausalLM.from_pretrained(folder), name))


def turned(update: Update) -> Update:
    return replace(
        update, sequences=tuple(replace(s, advantage=-s.advantage) for s in update.sequences)
    )


def test_an_objective_agrees_with_itself_and_undoes_its_opposite(folder: Path) -> None:
    model = load_policy(folder, torch.float32, 16)
    update = scored(folder, "compress")
    assert measure(model, (update, update), [])["cosine"] == pytest.approx(1.0)
    assert measure(model, (update, turned(update)), [])["cosine"] == pytest.approx(-1.0)
    assert all(p.grad is None for p in model.parameters())


def test_the_cosine_is_that_of_the_gradients_written_out(folder: Path) -> None:
    updates = scored(folder, "compress"), scored(folder, "mixed")
    plain = Qwen2ForCausalLM.from_pretrained(folder)
    flat = []
    for update in updates:
        loss = sum(
            -(s.weight * s.advantage * reference_logprobs(plain, s.prompt, s.response)).sum()
            for s in update.sequences
        )
        grads = torch.autograd.grad(loss, list(plain.parameters()))
        flat.append(torch.cat([g.flatten() for g in grads]))
    expected = torch.nn.functional.cosine_similarity(*flat, dim=0).item()
    found = measure(load_policy(folder, torch.float32, 16), updates, [])
    assert found["cosine"] == pytest.approx(expected, abs=1e-5)
    assert abs(expected) < 0.99


def test_the_share_of_connectors_is_that_of_their_tokens(folder: Path) -> None:
    model, update = load_policy(folder, torch.float32, 16), scored(folder, "compress")
    everything = list(range(96))
    assert measure(model, (update, update), everything)["connector_share_compress"] == 1.0
    half = [measure(model, (update, update), part) for part in (everything[:48], everything[48:])]
    assert sum(m["connector_share_accuracy"] or 0 for m in half) == pytest.approx(1.0)
    assert 0.1 < (half[0]["connector_share_compress"] or 0) < 0.9


def test_a_batch_without_a_gradient_has_no_figures(folder: Path) -> None:
    model = load_policy(folder, torch.float32, 16)
    update = scored(folder, "compress")
    still = tuple(replace(s, has_gradient=False) for s in update.sequences)
    found = measure(model, (Update(still, empty=True), update), [1])
    assert (found["cosine"], found["connector_share_compress"]) == (None, None)


def test_closed_forms() -> None:
    assert cosine(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])) == pytest.approx(0.5**0.5)
    assert cosine(torch.zeros(2), torch.ones(2)) is None
    assert share(np.array([1.0, 3.0]), np.array([False, True])) == 0.75
    assert share(np.zeros(2), np.array([False, True])) is None


def test_the_objectives_compared_are_the_first_of_each_kind() -> None:
    def stage(name: str, objective: Compress | Explore | Entangled) -> Stage:
        cap = {"max_tokens": 64} if isinstance(objective, Compress) else {}
        return Stage(name=name, objective=objective, sampling=cap)

    first, second = Compress(length_clip=100), Compress(length_clip=200)
    explore = Explore(length_threshold=5)
    assert contrast((stage("a", first), stage("b", second), stage("c", explore))) == (
        first,
        explore,
    )
    assert contrast((stage("a", first),)) is None
    both = Entangled(compress=second, explore=explore)
    assert contrast((stage("a", both),)) == (second, explore)
