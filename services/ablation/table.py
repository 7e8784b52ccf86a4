"""The table a sweep ends in: every policy over its seeds, with intervals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from algorithms.metrics import l_acc, wilson_interval
from services.ablation.arms import Arm
from services.reports.collect import BASE

Report = Mapping[str, Any]
"""``report.json`` of one job."""


@dataclass(frozen=True)
class Row:
    """One policy over all seeds; lengths in response tokens, accuracies as shares."""

    name: str
    seeds: int
    responses: int
    """Judged responses of all seeds together."""
    accuracy: float
    accuracy_ci95: tuple[float, float]
    """Wilson interval of the pooled responses. Seeds share their questions, so the interval is that
    of the questions' sampling noise, and says little about the spread over seeds."""
    accuracies: tuple[float, ...]
    """Of each seed."""
    length_mean: float
    lengths: tuple[float, ...]
    """Of each seed."""
    length_ratio: float
    """Mean length over that of the base, both over the seeds of this row."""
    l_acc: float
    steps: float
    """Training steps up to this policy, mean over seeds."""
    tokens: float
    """Tokens generated for training up to this policy, mean over seeds."""
    entropy: float | None
    """Mean token entropy at temperature 1 over the last five steps before it; None for the base."""


def table(arms: Sequence[Arm], reports: Mapping[tuple[str, int], Report]) -> list[Row]:
    """Return the base, then a row for each checkpoint of each arm that has a finished run.

    Args:
        arms: of the study, in the order of the table.
        reports: by arm and seed.
    """
    # Every arm of a seed evaluates the same base in the same way: one of them stands for all.
    bases = {seed: report for (_, seed), report in sorted(reports.items())}
    found = [_row(BASE, BASE, list(bases.values()))] if reports else []
    for arm in arms:
        mine = [report for (name, _), report in sorted(reports.items()) if name == arm.name]
        for label, title in arm.checkpoints.items():
            having = [r for r in mine if _label(r, label) in r["evaluations"]]
            if having:
                found.append(_row(title, label, having))
    return found


def _row(name: str, label: str, reports: Sequence[Report]) -> Row:
    evaluations = [r["evaluations"][_label(r, label)] for r in reports]
    judged = [e["questions"] * e["samples"] - e["unverified"] for e in evaluations]
    correct = [round(e["accuracy"] * n) for e, n in zip(evaluations, judged, strict=True)]
    length = statistics.fmean(e["length_mean"] for e in evaluations)
    accuracy = sum(correct) / sum(judged)
    base_length = statistics.fmean(r["evaluations"][BASE]["length_mean"] for r in reports)
    steps = [
        [s for s in r["steps"] if s["step"] <= e["step"]]
        for r, e in zip(reports, evaluations, strict=True)
    ]
    ends = [s["entropy_untempered"] for taken in steps for s in taken[-5:]]
    return Row(
        name=name,
        seeds=len(reports),
        responses=sum(judged),
        accuracy=accuracy,
        accuracy_ci95=wilson_interval(sum(correct), sum(judged)),
        accuracies=tuple(e["accuracy"] for e in evaluations),
        length_mean=length,
        lengths=tuple(e["length_mean"] for e in evaluations),
        length_ratio=length / base_length,
        l_acc=l_acc(accuracy, length, base_length).value,
        steps=statistics.fmean(e["step"] for e in evaluations),
        tokens=statistics.fmean(sum(s["generated_tokens"] for s in taken) for taken in steps),
        entropy=statistics.fmean(ends) if ends else None,
    )


def _label(report: Report, label: str) -> str:
    """Return the evaluation a checkpoint means; ``last`` is the one made last."""
    return list(report["evaluations"])[-1] if label == "last" else label


HEAD: Final = (
    "policy",
    "seeds",
    "accuracy, % (95 %)",
    "each seed",
    "length, tokens (least to most)",
    "of base",
    "L-Acc, %",
    "steps",
    "tokens, M",
    "entropy, nats",
)


def cells(row: Row) -> list[str]:
    """Return a row as text, in the order of ``HEAD``."""
    low, high = row.accuracy_ci95
    return [
        row.name,
        str(row.seeds),
        f"{100 * row.accuracy:.1f} ({100 * low:.1f} to {100 * high:.1f})",
        ", ".join(f"{100 * a:.1f}" for a in row.accuracies),
        f"{row.length_mean:.1f} ({min(row.lengths):.1f} to {max(row.lengths):.1f})",
        f"{100 * row.length_ratio:.1f} %",
        f"{100 * row.l_acc:.1f}",
        f"{row.steps:g}",
        f"{row.tokens / 1e6:.2f}",
        "" if row.entropy is None else f"{row.entropy:.3f}",
    ]


def markdown(rows: Sequence[Row]) -> str:
    """Return the table as GitHub has it."""
    lines = [HEAD, ["---"] * len(HEAD), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as built-in types."""
    return [asdict(r) for r in rows]


def from_json(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows that :func:`as_json` wrote."""
    return [Row(**row) for row in rows]
