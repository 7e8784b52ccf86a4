"""What an evaluation says: accuracy with its interval, lengths, and every response kept."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from algorithms.metrics import wilson_interval
from algorithms.trajectory import JUDGED, Judgement, TrajectoryGroup, is_correct
from services.atomic_write import write_whole
from services.datasets import Question
from services.prompt_stream import derive_seed
from services.rollout.request import Decoding, RolloutRequest
from services.spec.job import EvaluationSpec


def evaluation_requests(
    spec: EvaluationSpec, questions: Sequence[Question], suffix: str, seed: int
) -> tuple[list[RolloutRequest], Decoding]:
    """Return the requests of one evaluation: the same seeds for every checkpoint of a job."""
    requests = [
        RolloutRequest(
            group_id=f"evaluation/{q.id}",
            question_id=q.id,
            prompt=q.question + suffix,
            gold=q.gold,
            seed=derive_seed(seed, "evaluation", q.id),
        )
        for q in questions[: spec.questions]
    ]
    decoding = Decoding(
        temperature=spec.temperature,
        top_p=spec.top_p,
        max_tokens=spec.max_tokens,
        group_size=spec.samples,
        logprobs=False,
    )
    return requests, decoding


def question_records(
    group: TrajectoryGroup, question: str, judgements: Sequence[Judgement]
) -> dict[str, Any]:
    """Return the kept record of one question."""
    return {
        "id": group.question_id,
        "question": question,
        "gold": list(group.gold),
        "responses": [
            {
                "text": text,
                "tokens": int(tokens),
                "verdict": j.verdict,
                "correct": is_correct(j.verdict, finish == "stop"),
                "reason": j.reason,
                "finish_reason": finish,
            }
            for text, tokens, j, finish in zip(
                group.texts, group.lengths, judgements, group.finish_reasons, strict=True
            )
        ],
    }


def summarise(
    label: str, step: int, version: int, seconds: float, records: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the evaluation record.

    Responses whose verification failed (``timeout``, ``error``) are left out of the accuracy and
    counted apart: a verifier that failed is never a wrong answer. A response cut at the cap is
    wrong whatever it holds, as in training (docs/method.md).
    """
    responses = [r for q in records for r in q["responses"]]
    judged = [r for r in responses if r["verdict"] in JUDGED]
    correct = sum(r["correct"] for r in judged)
    lengths = [r["tokens"] for r in responses]
    low, high = wilson_interval(correct, len(judged))
    return {
        "label": label,
        "step": step,
        "policy_version": version,
        "questions": len(records),
        "samples": len(records[0]["responses"]) if records else 0,
        "accuracy": correct / len(judged) if judged else None,
        "accuracy_ci95": [low, high],
        "unverified": len(responses) - len(judged),
        "length_mean": statistics.fmean(lengths),
        "length_median": statistics.median(lengths),
        "truncated_ratio": sum(r["finish_reason"] == "length" for r in responses) / len(responses),
        "seconds": seconds,
        "records": records,
    }


def save_evaluation(folder: Path, record: dict[str, Any]) -> Path:
    """Write the record as ``<label>.json``, whole or not at all."""
    path = folder / f"{record['label']}.json"
    write_whole(path, json.dumps(record))
    return path
