"""Looks at every token of a step before it is trained on, and leaves a sample of them on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.token_gradients import TokenColumns
from services.analysis.token_samples import TokenSamples, write_samples
from services.learning.samples import Batch, ScoredResponse, collate


@dataclass(frozen=True)
class Probe:
    """What a sampled step asks for."""

    job_folder: Path
    step: int
    stage: str
    max_tokens: int
    seed: int


def probe_tokens(
    probe: Probe,
    plan: Sequence[tuple[Sequence[ScoredResponse], bool]],
    score: Callable[[Batch], TokenColumns],
    temperature: float,
    device: torch.device,
) -> TokenSamples | None:
    """Score the micro-batches of this rank without a gradient; return the sample.

    Args:
        probe: which step, and how many tokens to keep.
        plan: micro-batches and whether they are muted; a muted one only keeps ranks in step.
        score: forward pass to the columns of a batch. Collective under ZeRO 3.
        temperature: the one the tokens were sampled at.
        device: of the model.

    Returns:
        None when this rank has no tokens.
    """
    columns: list[dict[str, NDArray[np.float32]]] = []
    drawn: list[ScoredResponse] = []
    with torch.no_grad():
        for sequences, muted in plan:
            scored = score(collate(sequences, muted=muted).to(device))
            if not muted:
                columns.append({k: v.cpu().numpy() for k, v in asdict(scored).items()})
                drawn.extend(sequences)
    if not drawn:
        return None
    flat = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    samples = TokenSamples(
        step=probe.step,
        stage=probe.stage,
        temperature=temperature,
        token_id=np.concatenate([s.response for s in drawn]),
        entropy=flat["entropy"],
        entropy_untempered=flat["entropy_untempered"],
        logprob=flat["logprob"],
        prob_square_sum=flat["square_sum"],
        hidden_norm=flat["hidden_norm"],
        advantage=_each(drawn, [s.advantage for s in drawn]).astype(np.float32),
        weight=_each(drawn, [s.weight for s in drawn]).astype(np.float32),
        correct=_each(drawn, [s.correct for s in drawn]).astype(np.int8),
        part=np.concatenate([np.arange(len(s.response)) >= s.think_length for s in drawn]).astype(
            np.int8
        ),
        in_prompt=np.concatenate([np.isin(s.response, s.prompt) for s in drawn]),
    )
    return samples.limited(probe.max_tokens, probe.seed)


def _each(sequences: Sequence[ScoredResponse], values: Sequence[float]) -> NDArray[np.float64]:
    """Repeat a value of each sequence for each of its tokens."""
    return np.repeat(np.asarray(values, np.float64), [len(s.response) for s in sequences])


def keep(probe: Probe, samples: TokenSamples | None) -> None:
    """Write the sample into the job's folder."""
    if samples is not None:
        write_samples(probe.job_folder, samples)
