"""Entropy against gradient magnitude, the tokens that carry it, and the connectors (3d, 3e)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from algorithms.correlation import pearson, spearman
from algorithms.token_gradients import (
    drawn_gradient_norm,
    expected_gradient_norm,
    lm_head_gradient_norm,
)
from algorithms.token_table import high_entropy_tokens
from services.analysis.token_samples import TokenSamples
from services.analysis.vocabulary import MARKED, Vocabulary

FORMS: Final = ("drawn", "expected", "lm_head")

CAVEAT: Final = (
    "The expected form is a function of the same distribution as the entropy, and the drawn and "
    "lm_head forms share most of it: a high correlation is close to an identity, no finding about "
    "training. Times |A| over the trained tokens is what the loss applies."
)


@dataclass(frozen=True)
class Correlation:
    """Of token entropy with one form of gradient magnitude; None where it has no value."""

    pearson: float | None
    spearman: float | None
    update_pearson: float | None
    """With the magnitude times ``|A|``, over the tokens that are trained on."""
    update_spearman: float | None


@dataclass(frozen=True)
class StepTokens:
    """Figures of the sampled tokens of one step."""

    step: int
    stage: str
    temperature: float
    tokens: int
    forms: dict[str, Correlation]
    connectors_per_1000: float | None
    """Connectors per 1,000 sampled tokens; None without tokens."""


@dataclass(frozen=True)
class TableRow:
    """A high-entropy token."""

    token_id: int
    text: str
    connector: bool
    count: int
    mean_entropy: float
    """In nats, over its occurrences among the high-entropy tokens."""


@dataclass(frozen=True)
class TokenFigures:
    """Everything the sampled tokens of a job say."""

    steps: Sequence[StepTokens]
    table: dict[str, list[TableRow]]
    """By stage, from all its sampled steps together, highest mean entropy first."""

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "connectors": list(MARKED), "caveat": CAVEAT}


def token_figures(samples: Iterable[TokenSamples], vocabulary: Vocabulary) -> TokenFigures:
    """Read the samples once, in the order of steps."""
    steps: list[StepTokens] = []
    kept: defaultdict[str, list[TokenSamples]] = defaultdict(list)
    for sample in samples:
        steps.append(_step(sample, vocabulary))
        kept[sample.stage].append(sample)
    return TokenFigures(steps, {stage: _table(parts, vocabulary) for stage, parts in kept.items()})


def _step(sample: TokenSamples, vocabulary: Vocabulary) -> StepTokens:
    square_sum, logprob = sample.prob_square_sum, sample.logprob
    magnitudes = {
        "drawn": drawn_gradient_norm(logprob, square_sum),
        "expected": expected_gradient_norm(logprob, square_sum),
        "lm_head": lm_head_gradient_norm(logprob, square_sum, sample.hidden_norm),
    }
    ids, counts = np.unique(sample.token_id, return_counts=True)
    connectors = sum(
        int(n) for i, n in zip(ids, counts, strict=True) if vocabulary.is_connector(int(i))
    )
    return StepTokens(
        step=sample.step,
        stage=sample.stage,
        temperature=sample.temperature,
        tokens=len(sample),
        forms={form: _correlate(sample, magnitudes[form]) for form in FORMS},
        connectors_per_1000=1000 * connectors / len(sample) if len(sample) else None,
    )


def _correlate(sample: TokenSamples, magnitude: NDArray[np.float64]) -> Correlation:
    trained = sample.weight > 0
    entropy = sample.entropy[trained]
    update = magnitude[trained] * np.abs(sample.advantage[trained])
    return Correlation(
        pearson=pearson(sample.entropy, magnitude),
        spearman=spearman(sample.entropy, magnitude),
        update_pearson=pearson(entropy, update),
        update_spearman=spearman(entropy, update),
    )


def _table(parts: Sequence[TokenSamples], vocabulary: Vocabulary) -> list[TableRow]:
    entries = high_entropy_tokens(
        np.concatenate([s.token_id for s in parts]),
        np.concatenate([s.entropy for s in parts]),
        np.concatenate([s.in_prompt for s in parts]),
    )
    return [
        TableRow(
            e.token_id,
            vocabulary.text(e.token_id),
            vocabulary.is_connector(e.token_id),
            e.count,
            e.mean_entropy,
        )
        for e in entries
    ]
