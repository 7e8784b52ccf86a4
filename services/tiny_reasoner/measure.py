"""Measures a tiny reasoner on held-out questions with the engine that training uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.trajectory import TrajectoryGroup
from services.datasets import load_questions
from services.prompt_stream import derive_seed
from services.rollout.engine import RolloutEngine
from services.rollout.request import Decoding, RolloutRequest
from services.spec.job import DataSpec, GeneratorSpec
from services.verification.exact import compare
from services.verification.extract import extract

QUESTIONS = 300
SAMPLES = 4


def measure(
    model: Path, heldout: Path, settings: Sequence[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Return accuracy and response lengths for each (temperature, top_p)."""
    data = DataSpec(path=str(heldout))
    engine = RolloutEngine(str(model), GeneratorSpec(), seed=0)
    requests = [
        RolloutRequest(
            group_id=q.id,
            question_id=q.id,
            prompt=q.question + data.prompt_suffix,
            gold=q.gold,
            seed=derive_seed("measure", q.id),
        )
        for q in load_questions(data)[:QUESTIONS]
    ]
    return [_figures(engine, requests, t, p) for t, p in settings]


def _figures(
    engine: RolloutEngine, requests: list[RolloutRequest], temperature: float, top_p: float
) -> dict[str, Any]:
    decoding = Decoding(
        temperature=temperature, top_p=top_p, max_tokens=500, group_size=SAMPLES, logprobs=True
    )
    groups = engine.generate(requests, decoding)
    lengths = np.concatenate([g.lengths for g in groups])
    right = [_is_right(t, g.gold) for g in groups for t in g.texts]
    return {
        "temperature": temperature,
        "top_p": top_p,
        "questions": len(requests),
        "samples": SAMPLES,
        "accuracy": _rounded(np.mean(right)),
        "length_mean": _rounded(lengths.mean()),
        "length_percentiles_5_25_50_75_95": [
            _rounded(v) for v in np.percentile(lengths, [5, 25, 50, 75, 95])
        ],
        "length_std_within_question": _rounded(np.mean([np.std(g.lengths) for g in groups])),
        "truncated_ratio": _rounded(_share_cut(groups)),
        "entropy_sampled_nats": _rounded(
            -np.concatenate([g.behaviour_logprobs for g in groups]).mean()
        ),
    }


def _share_cut(groups: list[TrajectoryGroup]) -> float:
    return float(np.mean([f == "length" for g in groups for f in g.finish_reasons]))


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def _is_right(text: str, gold: tuple[str, ...]) -> bool:
    answer = extract(text).answer
    return answer is not None and any(compare(g, answer) == "equal" for g in gold)
