"""What came out, in words: the headline, and each claim of the method held against the run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.reports.collect import ReportData, StageSpan
from services.reports.comparison import EvaluationFigures

LENGTH_TARGET = 0.30
"""A whole run should bring the mean length to this share of the base model's, or below."""

_EDGE_SHARE = 0.2
"""Share of a stage's steps that stands for its beginning or its end."""


@dataclass(frozen=True)
class Finding:
    """One claim and what the run says about it."""

    claim: str
    held: bool | None
    """None: the run has nothing to say about it yet."""
    evidence: str


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as text, ``0.84`` as ``84.0 %``."""
    return "not known" if share is None else f"{100 * share:.{digits}f} %"


def headline(data: ReportData) -> str:
    """Return the result in one or two sentences; a missed target is said, not left out."""
    base, last = data.base, data.last
    if base is None and last is None:
        if data.spec.evaluation is None:
            return "This job has no held-out evaluation, so there is no result to compare."
        return "No evaluation has been made yet, so there is no result to show."
    if last is None:
        assert base is not None
        return (
            f"Only the base model has been evaluated so far: accuracy {percent(base.accuracy)} at "
            f"a mean of {base.length_mean:.0f} tokens."
        )
    if base is None or last.length_ratio is None:
        return (
            f"After {last.label}: accuracy {percent(last.accuracy)} at a mean of "
            f"{last.length_mean:.0f} tokens. There is no base evaluation to compare with."
        )
    direction = "fell" if last.length_ratio < 1 else "did not fall: it came"
    text = (
        f"Length {direction} to {percent(last.length_ratio, 0)} of the base, "
        f"accuracy {percent(base.accuracy)} → {percent(last.accuracy)}."
    )
    remarks = [*_missed(base, last), *_unfinished(data, last)]
    return " ".join([text, *remarks])


def _missed(base: EvaluationFigures, last: EvaluationFigures) -> list[str]:
    remarks = []
    if last.length_ratio is not None and last.length_ratio > LENGTH_TARGET:
        remarks.append(f"The length target of {percent(LENGTH_TARGET, 0)} was missed.")
    if base.accuracy is not None and last.accuracy is not None and last.accuracy < base.accuracy:
        if _touching(base, last):
            remarks.append("Accuracy is lower, but the 95 % intervals overlap.")
        else:
            remarks.append("Accuracy was lost: the 95 % intervals do not overlap.")
    return remarks


def _unfinished(data: ReportData, last: EvaluationFigures) -> list[str]:
    final = data.stages[-1].name
    return [] if last.label == final else [f"The stage {final} has not been evaluated yet."]


def _touching(base: EvaluationFigures, last: EvaluationFigures) -> bool:
    return last.accuracy_ci95[1] >= base.accuracy_ci95[0]


def findings(data: ReportData) -> list[Finding]:
    """Return the claims a two-stage run should bear out, each with its evidence."""
    return [
        _length_finding(data),
        _accuracy_finding(data),
        *(f for s in data.stages for f in _stage_findings(data, s)),
        _accounting_finding(data),
    ]


def _length_finding(data: ReportData) -> Finding:
    claim = f"Mean length after the whole run is at most {percent(LENGTH_TARGET, 0)} of the base's"
    final = data.evaluations.get(data.stages[-1].name)
    if final is None or final.length_ratio is None or data.base is None:
        return Finding(claim, None, "the base and the last stage have not both been evaluated")
    evidence = (
        f"{data.base.length_mean:.1f} → {final.length_mean:.1f} tokens, "
        f"{percent(final.length_ratio)} of the base"
    )
    return Finding(claim, final.length_ratio <= LENGTH_TARGET, evidence)


def _accuracy_finding(data: ReportData) -> Finding:
    claim = "Accuracy after the whole run is not below the base's (the intervals may touch)"
    base, final = data.base, data.evaluations.get(data.stages[-1].name)
    if base is None or final is None or base.accuracy is None or final.accuracy is None:
        return Finding(claim, None, "the base and the last stage have not both been evaluated")
    evidence = f"{_with_interval(base)} → {_with_interval(final)}"
    if final.against_base is not None:
        moved = final.against_base
        evidence += (
            f"; {moved.gained} answers gained, {moved.lost} lost "
            f"(McNemar p = {moved.mcnemar_p:.2g})"
        )
    return Finding(claim, final.accuracy >= base.accuracy or _touching(base, final), evidence)


def _with_interval(figures: EvaluationFigures) -> str:
    low, high = figures.accuracy_ci95
    return f"{percent(figures.accuracy)} [{100 * low:.1f}, {100 * high:.1f}]"


def _stage_findings(data: ReportData, stage: StageSpan) -> list[Finding]:
    if stage.objective == "compress":
        return [_entropy_falls(data, stage)]
    before = [
        s
        for s in data.stages
        if s.objective == "compress" and s.last_step and s.last_step < (stage.first_step or 0)
    ]
    if stage.objective == "explore" and before:
        return [_entropy_recovers(data, before[-1], stage)]
    return []


def _entropy_falls(data: ReportData, stage: StageSpan) -> Finding:
    claim = f"Entropy falls during {stage.name}"
    values = _series(data.steps, stage, "entropy")
    if len(values) < 2:
        return Finding(claim, None, "fewer than two steps were recorded")
    first, last = statistics.fmean(_edge(values)), statistics.fmean(_edge(values[::-1]))
    return Finding(claim, last < first, f"{first:.4f} → {last:.4f} nats, first and last steps")


def _entropy_recovers(data: ReportData, compressed: StageSpan, stage: StageSpan) -> Finding:
    claim = f"Entropy in {stage.name} is higher than at the end of {compressed.name}"
    before, during = (_series(data.steps, s, "entropy") for s in (compressed, stage))
    if not before or not during:
        return Finding(claim, None, "one of the stages has no steps recorded")
    end, mean = statistics.fmean(_edge(before[::-1])), statistics.fmean(during)
    evidence = f"{end:.4f} → {mean:.4f} nats at each stage's sampling temperature"
    plain = [_series(data.steps, s, "entropy_untempered") for s in (compressed, stage)]
    if all(plain):
        evidence += (
            f"; at temperature 1: {statistics.fmean(_edge(plain[0][::-1])):.4f} → "
            f"{statistics.fmean(plain[1]):.4f}"
        )
    return Finding(claim, mean > end, evidence)


def _series(steps: Sequence[Mapping[str, Any]], stage: StageSpan, name: str) -> list[float]:
    return [s[name] for s in steps if s["stage"] == stage.name and s.get(name) is not None]


def _edge(values: Sequence[float]) -> Sequence[float]:
    return values[: max(1, round(len(values) * _EDGE_SHARE))]


def _accounting_finding(data: ReportData) -> Finding:
    claim = "Every sample is accounted for: generated = trained + excluded + in flight"
    counted = [s for s in data.steps if s.get("samples")]
    if not counted:
        return Finding(claim, None, "no accounting was recorded")
    unbalanced = [s["step"] for s in counted if _imbalance(s["samples"])]
    if unbalanced:
        return Finding(claim, False, f"it does not balance at steps {unbalanced[:10]}")
    last = counted[-1]["samples"]
    excluded = ", ".join(f"{reason} {n}" for reason, n in sorted(last["excluded"].items()) if n)
    return Finding(
        claim,
        True,
        f"{last['generated']} generated, {last['trained']} trained, "
        f"{sum(last['excluded'].values())} excluded ({excluded or 'none'}), "
        f"{last['in_flight']} in flight",
    )


def _imbalance(samples: Mapping[str, Any]) -> int:
    excluded = sum(samples["excluded"].values())
    return int(samples["generated"] - samples["trained"] - excluded - samples["in_flight"])
