"""Token entropy over a run, from its step records: by part, by outcome, in percentiles, by stage;
and how far the two objectives pulled apart (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

SERIES: Final = (
    "entropy",
    "sampled",
    "think",
    "answer",
    "correct",
    "incorrect",
    "p50",
    "p80",
    "p95",
    "p99",
)
"""``entropy`` is the exact mean over every sampled token, ``sampled`` the estimate of it from the
behaviour log-probabilities; the others are of exact entropies. All in nats, at the sampling
temperature."""

CONFLICT: Final = ("cosine", "connector_share_compress", "connector_share_accuracy")


@dataclass(frozen=True)
class EntropyCourse:
    """Values of every step, and means of every stage weighted by its steps' tokens."""

    steps: Sequence[int]
    stages: Sequence[str]
    """Label of each step's stage."""
    series: Mapping[str, Sequence[float | None]]
    """A value for each step by name (``SERIES``); None where there was no such token."""
    by_stage: Mapping[str, Mapping[str, float | None]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ConflictCourse:
    """What sampled steps found when both objectives scored one mini-batch."""

    steps: Sequence[int]
    stages: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    """By name (``CONFLICT``): cosine of the two gradients, and the share of connectors in the token
    magnitudes of each; None for a gradient that was zero."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def entropy_course(records: Sequence[Mapping[str, Any]]) -> EntropyCourse | None:
    """Return the course of entropy over the steps that recorded it; None when none did."""
    known = [r for r in records if r.get("entropy_profile")]
    if not known:
        return None
    values = [_of_step(r) for r in known]
    stages = [r["stage"] for r in known]
    tokens = [r["generated_tokens"] for r in known]
    return EntropyCourse(
        steps=[r["step"] for r in known],
        stages=stages,
        series={name: [v[name] for v in values] for name in SERIES},
        by_stage={
            stage: {
                name: _mean(
                    [
                        (v[name], n)
                        for v, s, n in zip(values, stages, tokens, strict=True)
                        if s == stage
                    ]
                )
                for name in SERIES
            }
            for stage in dict.fromkeys(stages)
        },
    )


def conflict_course(records: Sequence[Mapping[str, Any]]) -> ConflictCourse | None:
    """Return what the sampled steps measured; None when no step compared the gradients."""
    known = [r for r in records if r.get("gradient_conflict")]
    if not known:
        return None
    return ConflictCourse(
        steps=[r["step"] for r in known],
        stages=[r["stage"] for r in known],
        series={name: [r["gradient_conflict"].get(name) for r in known] for name in CONFLICT},
    )


def _of_step(record: Mapping[str, Any]) -> dict[str, float | None]:
    profile = record["entropy_profile"]
    known = {"entropy": record.get("entropy"), "sampled": record.get("entropy_sampled")}
    return {name: known[name] if name in known else profile.get(name) for name in SERIES}


def _mean(values: Sequence[tuple[float | None, int]]) -> float | None:
    """Mean over the steps that have a value, each weighted by its tokens."""
    found = [(v, n) for v, n in values if v is not None]
    total = sum(n for _, n in found)
    return sum(v * n for v, n in found) / total if total else None
