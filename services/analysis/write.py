"""Writes the analysis of a job: every figure there is data for, and the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.analysis.sections import Analysis, analyse
from services.analysis.token_samples import all_samples
from services.analysis.vocabulary import vocabulary_of
from services.home import Home, JobFolder
from services.reports.collect import BASE, ReportData, ReportError, collect, read_evaluations
from services.stores.sqlite import SqliteJobStore

_DPI: Final = 160


@dataclass(frozen=True)
class WrittenAnalysis:
    """What was written and what could not be."""

    data: Path
    """``analysis.json``."""
    figures: tuple[Path, ...]
    analysis: Analysis

    @property
    def missing(self) -> Mapping[str, str]:
        return self.analysis.missing


def write_analysis(home_root: Path, job_id: str, out: Path) -> WrittenAnalysis:
    """Write every figure available for a job as PNG, and ``analysis.json``.

    Raises:
        JobNotFound: no job has this id.
        ReportError: there is no job store, the job left nothing to analyse, a file cannot be read,
            or ``out`` cannot be written.
    """
    place = Home.resolve(home_root)
    if not place.database.exists():
        raise ReportError(f"there is no job store at {place.database}; is LACONIC_HOME right?")
    data = collect(SqliteJobStore(place.database), place.job(job_id), job_id)
    analysis = analyse_job(data, place.job(job_id))
    if not analysis.sections:
        raise ReportError(
            f"job {job_id} left nothing to analyse: " + "; ".join(analysis.missing.values())
        )
    try:
        return _write(analysis, out)
    except OSError as error:
        raise ReportError(f"the analysis cannot be written to {out}: {error}") from error


def analyse_job(data: ReportData, folder: JobFolder) -> Analysis:
    """Analyse what a job has left so far.

    Raises:
        ReportError: an evaluation cannot be read.
    """
    return analyse(
        data.steps,
        read_evaluations(folder, [BASE, *(stage.name for stage in data.spec.stages)]),
        all_samples(folder.root),
        vocabulary_of(data.spec.model.path),
    )


def _write(analysis: Analysis, out: Path) -> WrittenAnalysis:
    out.mkdir(parents=True, exist_ok=True)
    figures = []
    for section in analysis.sections:
        path = out / f"{section.name}.png"
        section.figure.savefig(path, dpi=_DPI, facecolor="white")
        figures.append(path)
    data = out / "analysis.json"
    data.write_text(json.dumps(analysis.as_json(), indent=1, ensure_ascii=False) + "\n")
    return WrittenAnalysis(data, tuple(figures), analysis)
