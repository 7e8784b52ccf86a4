"""What a training job keeps of a held-out evaluation: a record that reports read, and every
response beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.atomic_write import write_whole
from services.evaluation.figures import by_question, figures
from services.evaluation.response import Response
from services.evaluation.response_file import write_responses

MIDWAY = ".midway"
"""Ends the label of an evaluation in the middle of a stage."""


def training_record(
    label: str,
    step: int,
    version: int,
    seconds: float,
    responses: Sequence[Response],
    seed: int,
) -> dict[str, Any]:
    """Return the record of one evaluation.

    Args:
        label: what was evaluated, e.g. ``base`` or a stage.
        step: steps trained.
        version: of the policy.
        seconds: the evaluation took.
        responses: all of them, at least one.
        seed: of the job.
    """
    return {
        "label": label,
        "step": step,
        "policy_version": version,
        **figures(responses, seed, "response_tokens"),
        "seconds": seconds,
        "records": question_records(responses),
    }


def question_records(responses: Sequence[Response]) -> list[dict[str, Any]]:
    """Return the responses by question, as reports and analyses read them."""
    return [
        {
            "id": found[0].question_id,
            "question": found[0].question,
            "gold": list(found[0].gold),
            "responses": [
                {
                    "text": r.text,
                    "tokens": r.response_tokens,
                    "verdict": r.verdict,
                    "correct": r.correct,
                    "reason": r.reason,
                    "finish_reason": r.finish_reason,
                }
                for r in found
            ],
        }
        for found in by_question(responses).values()
    ]


def save_evaluation(folder: Path, record: dict[str, Any], responses: Sequence[Response]) -> Path:
    """Write ``<label>.parquet``, then the record as ``<label>.json``; each whole or not at all.

    Of a stage there are several midway ones: their names end in the step.
    """
    stem = record["label"]
    if stem.endswith(MIDWAY):
        stem = f"{stem}-{record['step']}"
    facts = {k: v for k, v in record.items() if k != "records"}
    write_responses(folder / f"{stem}.parquet", responses, facts)
    path = folder / f"{stem}.json"
    write_whole(path, json.dumps(record))
    return path
