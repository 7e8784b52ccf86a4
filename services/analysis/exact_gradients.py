"""Entropy against the exact gradient of single tokens: offline, on a saved model (figure 3d)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from algorithms.correlation import pearson, spearman
from algorithms.token_gradients import (
    drawn_gradient_norm,
    exact_gradient_norms,
    expected_gradient_norm,
    lm_head_gradient_norm,
    token_columns,
)
from services.reports.comparison import Evaluation

PER_RESPONSE: Final = 8
"""Tokens taken of one response: more would say the same again."""


@dataclass(frozen=True)
class ExactGradients:
    """Figures of the tokens measured, for one model."""

    label: str
    tokens: int
    temperature: float
    correlations: Mapping[str, Mapping[str, float | None]]
    """``pearson`` and ``spearman`` of the entropy with each form, ``exact`` among them, on the
    same tokens."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def exact_gradients(
    model: Path, evaluation: Evaluation, suffix: str, temperature: float, tokens: int, seed: int = 0
) -> ExactGradients:
    """Measure tokens of the first responses of an evaluation, drawn uniformly from each.

    The texts are tokenised again, so a token that the model had spelled in another way is measured
    in the tokenizer's spelling.

    Args:
        model: Hugging Face folder of the model that was evaluated.
        evaluation: with the responses.
        suffix: what stands behind each question in its prompt.
        temperature: of the distribution whose entropy and gradients are meant, positive.
        tokens: how many to measure, each at the cost of a backward pass.
        seed: of the draw.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    lm: Any = AutoModelForCausalLM.from_pretrained(
        model, dtype="float32", use_safetensors=True, trust_remote_code=False
    )
    draw = np.random.default_rng(seed)
    parts: list[dict[str, NDArray[np.float64]]] = []
    left = tokens
    for question in evaluation["records"]:
        response = tokenizer(question["responses"][0]["text"], add_special_tokens=False)[
            "input_ids"
        ]
        count = min(left, PER_RESPONSE, len(response))
        if not count:
            continue
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": question["question"] + suffix}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=False,
        )
        chosen = sorted(int(t) for t in draw.choice(len(response), count, replace=False))
        parts.append(measure(lm, prompt, response, chosen, temperature))
        left -= count
    if not parts:
        return ExactGradients(evaluation["label"], 0, temperature, {})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    entropy = columns.pop("entropy")
    return ExactGradients(
        label=evaluation["label"],
        tokens=len(entropy),
        temperature=temperature,
        correlations={
            form: {"pearson": pearson(entropy, norm), "spearman": spearman(entropy, norm)}
            for form, norm in columns.items()
        },
    )


def measure(
    lm: Any, prompt: list[int], response: list[int], chosen: list[int], temperature: float
) -> dict[str, NDArray[np.float64]]:
    """Return entropy and every form of gradient magnitude of the chosen tokens of a response.

    Args:
        lm: a Hugging Face causal language model.
        prompt: token ids.
        response: token ids.
        chosen: indices into ``response``.
        temperature: positive.
    """
    import torch

    ids = torch.tensor([prompt + response])
    targets = torch.tensor([response[t] for t in chosen], dtype=torch.long)
    before = torch.tensor([len(prompt) + t - 1 for t in chosen], dtype=torch.long)
    weight = lm.get_output_embeddings().weight
    hidden = lm.model(input_ids=ids, use_cache=False).last_hidden_state[0].index_select(0, before)

    def logprobs() -> torch.Tensor:
        scores = torch.log_softmax(hidden @ weight.t() / temperature, dim=-1)
        return scores.gather(1, targets.unsqueeze(1)).squeeze(1)

    parameters = [p for p in lm.parameters() if p.requires_grad]
    found = token_columns(hidden, weight, targets, temperature)
    logprob, square_sum = found.logprob.numpy(), found.square_sum.numpy()
    return {
        "entropy": found.entropy.numpy().astype(np.float64),
        "drawn": drawn_gradient_norm(logprob, square_sum),
        "expected": expected_gradient_norm(logprob, square_sum),
        "lm_head": lm_head_gradient_norm(logprob, square_sum, found.hidden_norm.numpy()),
        "exact": np.array(exact_gradient_norms(logprobs, parameters, range(len(chosen)))),
    }
