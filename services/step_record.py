"""One step's record: what the API, the metrics, the live view and the report show."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from algorithms.stage_machine import StageMachine
from algorithms.trajectory import JUDGED, is_correct
from services.replay_records import TRAIN


def rollout_figures(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of one verified rollout batch from its groups' score summaries."""
    lengths = np.concatenate([s["lengths"] for s in summaries])
    rewards = np.concatenate([s["rewards"] for s in summaries])
    finished = np.concatenate([s["finished"] for s in summaries])
    verdicts = [v for s in summaries for v in s["verdicts"]]
    correct = sum(is_correct(v, bool(f)) for v, f in zip(verdicts, finished, strict=True))
    judged = sum(v in JUDGED for v in verdicts)
    tokens = sum(s["token_count"] for s in summaries)
    return {
        "response_length_mean": float(lengths.mean()),
        "response_length_median": float(np.median(lengths)),
        "response_length_max": int(lengths.max()),
        "accuracy": correct / judged if judged else None,
        "truncated_ratio": float(1 - finished.mean()),
        "positive_ratio": float((rewards > 0).mean()),
        "reward_mean": float(rewards.mean()),
        "entropy_sampled": float(sum(s["entropy_sum"] for s in summaries) / max(1, tokens)),
        "routed": _routed(summaries),
        "zero_advantage_groups": sum(bool(s["zero_advantage"]) for s in summaries),
        "generated_tokens": int(tokens),
        "verdicts": dict(Counter(verdicts)),
    }


def _routed(summaries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return samples trained for compression and for accuracy: the counts of figure 3a."""
    counts = {"compress": 0, "accuracy": 0}
    for s in summaries:
        counts[s["route"]] += sum(d == TRAIN for d in s["dispositions"])
    return counts


_LEARNER_FIGURES = (
    "entropy",
    "entropy_untempered",
    "mismatch_abs_mean",
    "mismatch_kl",
    "clip_ratio",
    "reference_kl",
    "loss",
    "grad_norm",
    "entropy_profile",
    "gradient_conflict",
    "updates",
    "skipped_updates",
)


def learner_figures(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a train result that belong into the step record."""
    return {name: result[name] for name in _LEARNER_FIGURES}


class EtaEstimate:
    """Time left, from the median of the newest steps: lengths fall, so old ones mislead."""

    def __init__(self, window: int = 8) -> None:
        self._window = window
        self._seconds: list[float] = []

    def observe(self, step_seconds: float) -> None:
        self._seconds = [*self._seconds, step_seconds][-self._window :]

    def seconds_left(self, steps_left: int) -> float | None:
        """Return seconds, or None before the first step."""
        return statistics.median(self._seconds) * steps_left if self._seconds else None


def position(machine: StageMachine) -> dict[str, Any]:
    """Return where a run is, for the live view between steps."""
    current = machine.current
    return {
        "stage": current.label,
        "stage_index": machine.stage_index,
        "cycle": current.cycle,
        "step": machine.global_step,
        "total_steps": machine.total_steps,
        "stage_step": machine.stage_step,
        "stage_steps": machine.stage.steps,
    }
