"""Responses and groups for tests of evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.trajectory import TrajectoryGroup
from services.evaluation.response import Response


def response(question: str = "q", sample: int = 0, **fields: Any) -> Response:
    values: dict[str, Any] = {
        "question_id": question,
        "sample": sample,
        "seed": 1,
        "question": f"{question}?",
        "gold": ("1",),
        "text": "so \\boxed{1}",
        "response_tokens": 10,
        "thinkless_tokens": 15,
        "token_digest": "0" * 16,
        "repetition": 0.0,
        "finish_reason": "stop",
        "verdict": "correct",
        "reason": "equal",
        "correct": fields.get("verdict", "correct") == "correct",
        "seconds": 0.001,
    }
    return Response(**{**values, **fields})


def group(
    question: str, lengths: tuple[int, ...], finish: tuple[Any, ...] | None = None
) -> TrajectoryGroup:
    """Responses of given lengths, with token ids 0, 1, 2, ... through all of them."""
    total = sum(lengths)
    return TrajectoryGroup(
        group_id=f"evaluation/{question}",
        question_id=question,
        gold=("1",),
        prompt_ids=np.zeros(1, np.int32),
        response_ids=np.arange(total, dtype=np.int32),
        behaviour_logprobs=np.zeros(0, np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        think_lengths=np.array(lengths),
        finish_reasons=finish or ("stop",) * len(lengths),
        texts=tuple(f"{question} {i}" for i in range(len(lengths))),
        policy_version=0,
        temperature=0.6,
    )
