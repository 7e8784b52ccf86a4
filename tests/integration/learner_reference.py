"""A small model, a scored batch and the plain PyTorch step the learner is compared with."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from algorithms.objectives import Compress, Entangled, Explore, Objective
from algorithms.policy_loss_settings import GspoLoss, PpoLoss
from algorithms.scoring import ScoredGroup, score_groups
from algorithms.shaping import shape
from algorithms.trajectory import Judgement, TrajectoryGroup

TEMPERATURE, LEARNING_RATE = 0.7, 1e-3
SHARE = 0.22
"""Of the tokens that count as having high entropy: here the next token's is 3e-4 nats lower, far
more than rounding, so that plain PyTorch and the learner pick the same ones."""
OBJECTIVES: dict[str, Objective] = {
    "compress": Compress(length_clip=40, r=0.1),
    "drifted": Compress(length_clip=40, r=0.1),
    "mixed": Entangled(
        compress=Compress(
            length_clip=40, r=0.1, loss=PpoLoss(high_entropy_weight=0.25, high_entropy_share=SHARE)
        ),
        explore=Explore(
            length_threshold=10,
            length_unit=10,
            aggregation="seq-mean-token-sum-norm",
            token_norm=30,
            loss=GspoLoss(clip_low=0.5, clip_high=0.5, kl_coefficient=0.1, entropy_coefficient=0.2),
        ),
    ),
}
"""``drifted``: an engine that reports log-probabilities of its own, corrected for. ``mixed``: two
surrogates in one mini-batch, with every term that a loss can have."""
IMPORTANCE_CAP = 1.2


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


def make_groups(model: Qwen2ForCausalLM, name: str) -> list[tuple[TrajectoryGroup, ScoredGroup]]:
    """Four groups of three responses of unequal length; behaviour logprobs of the model itself, but
    for ``drifted``."""
    rng, drift = np.random.default_rng(5), np.random.default_rng(6)
    objective = OBJECTIVES[name]
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
        if name == "drifted":
            behaviour = behaviour + drift.normal(0, 0.4, len(behaviour))
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
        # Odd groups have one right answer of three: entangled, they train for accuracy.
        verdicts = ["correct", "incorrect", "incorrect"] if g % 2 else ["correct"] * 3
        judged = [Judgement(v, "test", True) for v in verdicts]  # type: ignore[arg-type]
        out.append((group, *score_groups(objective, [group], [judged])))
    return out


def reference_logprobs(
    model: Qwen2ForCausalLM, prompt: np.ndarray, response: np.ndarray
) -> torch.Tensor:
    log_p = reference_distribution(model, prompt, response)
    targets = torch.from_numpy(response.astype(np.int64))
    return log_p.gather(1, targets[:, None])[:, 0]


def reference_distribution(
    model: Qwen2ForCausalLM, prompt: np.ndarray, response: np.ndarray
) -> torch.Tensor:
    ids = torch.from_numpy(np.concatenate([prompt, response]).astype(np.int64))[None]
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1] / TEMPERATURE
    return logits.log_softmax(-1)


def entropy_of(log_p: torch.Tensor) -> torch.Tensor:
    return -(log_p.exp() * log_p).sum(-1)


def reference_weights(folder: Path, updates: int, name: str) -> dict[str, torch.Tensor]:
    """Train with the formulas written out, AdamW and norm clip."""
    model = Qwen2ForCausalLM.from_pretrained(folder)
    base = Qwen2ForCausalLM.from_pretrained(folder)
    groups = make_groups(model, name)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
    )
    for half in np.array_split(np.arange(len(groups)), updates):
        part = [groups[i] for i in half]
        threshold = high_entropy_from(base, part) if name == "mixed" else None
        loss = torch.zeros(())
        for t, s in part:
            for r in range(t.size):
                response = t.response_ids[t.offsets[r] : t.offsets[r + 1]]
                behaviour = torch.from_numpy(t.behaviour_logprobs[t.offsets[r] : t.offsets[r + 1]])
                log_p = reference_distribution(model, t.prompt_ids, response)
                if name == "mixed" and s.route == "accuracy":
                    term = explored(base, t.prompt_ids, response, log_p, behaviour, s.advantages[r])
                elif s.verdicts[r] == "correct":
                    drift = None
                    if name == "drifted":
                        old = reference_logprobs(base, t.prompt_ids, response).detach()
                        drift, behaviour = (old - behaviour).exp().clamp(max=IMPORTANCE_CAP), old
                    term = compressed(
                        base, t.prompt_ids, response, log_p, behaviour, threshold, drift
                    )
                else:
                    continue
                loss = loss + term / (3 * len(half))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {k: v.detach().clone() for k, v in model.named_parameters()}


def compressed(
    base: Qwen2ForCausalLM,
    prompt: np.ndarray,
    response: np.ndarray,
    log_p: torch.Tensor,
    behaviour: torch.Tensor,
    threshold: float | None,
    drift: torch.Tensor | None,
) -> torch.Tensor:
    """E4 to E7: the mean over the tokens of ``-min(r A, clip(r) A)``, times ``drift``."""
    advantage = float(shape("exponential", np.array([len(response)]), 40, 0.1)[0])
    logprob = log_p.gather(1, torch.from_numpy(response.astype(np.int64))[:, None])[:, 0]
    ratio = (logprob - behaviour).exp()
    tokens = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
    if threshold is not None:
        entropy = entropy_of(reference_distribution(base, prompt, response)).detach()
        tokens = tokens * torch.where(entropy >= threshold - 1e-6, 0.25, 1.0)
    if drift is not None:
        tokens = tokens * drift
    return tokens.mean()


def explored(
    base: Qwen2ForCausalLM,
    prompt: np.ndarray,
    response: np.ndarray,
    log_p: torch.Tensor,
    behaviour: torch.Tensor,
    advantage: float,
) -> torch.Tensor:
    """``sum_t (-s A + 0.1 KL_t - 0.2 H_t) / 30`` with ``s = exp(mean_t log r_t)``, unclipped: the
    sum of the token form has the gradient of ``|y| s``."""
    logprob = log_p.gather(1, torch.from_numpy(response.astype(np.int64))[:, None])[:, 0]
    sequence_ratio = (logprob - behaviour).mean().exp()
    difference = logprob - reference_logprobs(base, prompt, response).detach()
    kl = (-difference).exp() - 1 + difference
    surrogate = -float(advantage) * sequence_ratio * len(response)
    return (surrogate + (0.1 * kl - 0.2 * entropy_of(log_p)).sum()) / 30


def high_entropy_from(
    base: Qwen2ForCausalLM, groups: list[tuple[TrajectoryGroup, ScoredGroup]]
) -> float:
    """The entropy from which a token is among the upper fifth of those that are compressed. The
    entropies are those before the step, so of the model it starts from."""
    values = [
        entropy_of(reference_distribution(base, t.prompt_ids, t.response_ids[a:b]))
        for t, s in groups
        if s.route == "compress"
        for a, b in itertools.pairwise(t.offsets)
    ]
    entropy = torch.cat(values).sort(descending=True).values
    return float(entropy[int(SHARE * len(entropy)) - 1])


def write_weights(path: Path, named: list[tuple[str, torch.Tensor]]) -> None:
    save_file({n: t.contiguous().clone() for n, t in named}, path)
