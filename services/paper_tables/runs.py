"""Runs as the tables see them, read from their ``report.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.paper_tables.table1 import Row
from services.reports.collect import BASE


class RunError(ValueError):
    """A report that cannot be compared; the message names the file and the remedy."""


@dataclass(frozen=True)
class RunEvaluation:
    """One evaluation of a run on its held-out questions."""

    label: str
    step: int
    accuracy: float | None
    """Share; None when the verifier judged no response."""
    interval: tuple[float, float]
    """Wilson, 95 %."""
    length: float
    """Mean, in response tokens."""


@dataclass(frozen=True)
class Run:
    """One job, with what the ablations vary."""

    name: str
    benchmark: str
    """Name of the file with the held-out questions."""
    order: tuple[str, ...]
    """Objectives of the stages."""
    length_clip: int | None
    """L of the first compression stage; None without one."""
    shaping: str
    evaluations: Sequence[RunEvaluation]
    """The base model's first where it was made, then after each stage."""
    steps: Sequence[Mapping[str, Any]]
    """Step records."""

    @property
    def base(self) -> RunEvaluation | None:
        return next((e for e in self.evaluations if e.label == BASE), None)

    @property
    def after(self) -> Sequence[RunEvaluation]:
        """The evaluations after each stage."""
        return [e for e in self.evaluations if e.label != BASE]

    def table1_rows(self) -> list[Row]:
        """Return this run for table 1: the base model, then the run after its last stage."""
        found: list[tuple[str, RunEvaluation, float | None]] = []
        if self.base:
            found.append((BASE, self.base, None))
        if self.after:
            found.append((self.name, self.after[-1], self.base.length if self.base else None))
        return [
            Row(method, self.benchmark, 100 * e.accuracy, e.length, reference)
            for method, e, reference in found
            if e.accuracy is not None
        ]


def read_run(path: Path, name: str | None = None) -> Run:
    """Read a run from its ``report.json``.

    Args:
        path: the file.
        name: what the tables call it; the job's name by default.

    Raises:
        RunError: the file is missing or is no report with evaluations.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return _run(report, name or report["job"]["name"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} cannot be compared ({type(error).__name__}: {error}); give the report.json of "
            "a job with a held-out evaluation, as laconic report writes it"
        ) from error


def _run(report: Mapping[str, Any], name: str) -> Run:
    objectives = [stage["objective"] for stage in report["spec"]["stages"]]
    compress: Mapping[str, Any] = next((o for o in objectives if o["type"] == "compress"), {})
    return Run(
        name=name,
        benchmark=Path(report["spec"]["evaluation"]["path"]).stem.rpartition(":")[2],
        order=tuple(o["type"] for o in objectives),
        length_clip=compress.get("length_clip"),
        shaping=str(compress.get("shaping", "exponential")),
        evaluations=[
            RunEvaluation(
                label, e["step"], e["accuracy"], tuple(e["accuracy_ci95"]), e["length_mean"]
            )
            for label, e in report["evaluations"].items()
        ],
        steps=report["steps"],
    )
