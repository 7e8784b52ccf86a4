"""A small model, a scored batch and the plain PyTorch step the learner is compared with."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from algorithms.objectives import Compress
from algorithms.scoring import ScoredGroup, score_groups
from algorithms.shaping import shape
from algorithms.trajectory import Judgement, TrajectoryGroup

TEMPERATURE, LEARNING_RATE = 0.7, 1e-3
OBJECTIVE = Compress(length_clip=40, r=0.1)


def save_small_model(folder: Path) -> None:
    torch.manual_seed(3)
    config = Qwen2Config(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)


def make_groups(model: Qwen2ForCausalLM) -> list[tuple[TrajectoryGroup, ScoredGroup]]:
    """Four groups of three responses of unequal length; behaviour logprobs of the model itself."""
    rng = np.random.default_rng(5)
    out = []
    for g in range(4):
        lengths = rng.integers(3, 30, size=3)
        prompt = rng.integers(0, 96, size=rng.integers(4, 9)).astype(np.int32)
        response = rng.integers(0, 96, size=lengths.sum()).astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        behaviour = np.concatenate(
            [
                reference_logprobs(model, prompt, response[a:b]).detach().numpy()
                for a, b in itertools.pairwise(offsets)
            ]
        )
        group = TrajectoryGroup(
            group_id=f"g/{g}",
            question_id=f"q{g}",
            gold=("1",),
            prompt_ids=prompt,
            response_ids=response,
            behaviour_logprobs=behaviour.astype(np.float32),
            offsets=offsets,
            think_lengths=lengths,
            finish_reasons=("stop", "stop", "stop"),
            texts=("", "", ""),
            policy_version=0,
            temperature=TEMPERATURE,
        )
        verdicts = ["correct", "correct", "incorrect" if g % 2 else "correct"]
        judged = [Judgement(v, "test", True) for v in verdicts]  # type: ignore[arg-type]
        out.append((group, *score_groups(OBJECTIVE, [group], [judged])))
    return out


def reference_logprobs(
    model: Qwen2ForCausalLM, prompt: np.ndarray, response: np.ndarray
) -> torch.Tensor:
    ids = torch.from_numpy(np.concatenate([prompt, response]).astype(np.int64))[None]
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1] / TEMPERATURE
    targets = torch.from_numpy(response.astype(np.int64))
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]


def reference_weights(folder: Path, updates: int) -> dict[str, torch.Tensor]:
    """Train with the formulas written out: E4 to E6, clip, 1/N sum 1/|y|, AdamW, norm clip."""
    model = Qwen2ForCausalLM.from_pretrained(folder)
    groups = make_groups(model)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
    )
    for half in np.array_split(np.arange(len(groups)), updates):
        loss = torch.zeros(())
        for i in half:
            t, s = groups[i]
            for r in range(t.size):
                a, b = int(t.offsets[r]), int(t.offsets[r + 1])
                if s.verdicts[r] != "correct":
                    continue
                logprob = reference_logprobs(model, t.prompt_ids, t.response_ids[a:b])
                ratio = (logprob - torch.from_numpy(t.behaviour_logprobs[a:b])).exp()
                advantage = float(shape("exponential", np.array([b - a]), 40, 0.1)[0])
                surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
                loss = loss - surrogate.mean() / (3 * len(half))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {k: v.detach().clone() for k, v in model.named_parameters()}


def write_weights(path: Path, named: list[tuple[str, torch.Tensor]]) -> None:
    save_file({n: t.contiguous().clone() for n, t in named}, path)
