"""Writes the analysis of a job: every figure there is data for, and the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from services.analysis.exact_gradients import exact_gradients
from services.analysis.sections import Analysis, analyse
from services.analysis.token_samples import all_samples
from services.analysis.vocabulary import vocabulary_of
from services.builtin import resolve_path
from services.home import Home, JobFolder
from services.reports.collect import BASE, ReportData, ReportError, collect, read_evaluations
from services.stores.open import NoStore, open_store

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


def write_analysis(
    home_root: Path, job_id: str, out: Path, exact_tokens: int = 0
) -> WrittenAnalysis:
    """Write every figure available for a job as PNG, and ``analysis.json``.

    Args:
        home_root: Laconic's home folder, with the job store.
        job_id: the job.
        out: folder to write into, made when missing.
        exact_tokens: tokens of each evaluated model whose exact gradient is measured, a backward
            pass each; 0 for none.

    Raises:
        JobNotFound: no job has this id.
        ReportError: there is no job store, the job left nothing to analyse, a file cannot be read,
            or ``out`` cannot be written.
    """
    place = Home.resolve(home_root)
    try:
        with closing(open_store(None, place, create=False)) as store:
            data = collect(store, place.job(job_id), job_id)
    except NoStore as error:
        raise ReportError(str(error)) from error
    analysis = analyse_job(data, place.job(job_id))
    if exact_tokens:
        exact = _exact(data, place.job(job_id), exact_tokens)
        analysis = replace(analysis, data={**analysis.data, "exact_gradients": exact})
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
        read_evaluations(folder, [BASE, *(o.label for o in data.spec.schedule)]),
        all_samples(folder.root),
        vocabulary_of(data.spec.model.path),
    )


def _exact(data: ReportData, folder: JobFolder, tokens: int) -> list[dict[str, Any]]:
    """Measure the exact gradients of every evaluated model whose weights are there."""
    spec = data.spec
    if spec.evaluation is None:
        return []
    # A greedy evaluation has no distribution of its own: that of temperature 1 stands in.
    temperature = spec.evaluation.temperature or 1.0
    measured = []
    for label, evaluation in read_evaluations(folder, data.evaluations).items():
        model = resolve_path(spec.model.path) if label == BASE else folder.model(label)
        if model.exists():
            suffix = spec.data.prompt_suffix
            found = exact_gradients(model, evaluation, suffix, temperature, tokens, spec.seed)
            measured.append(found.as_json())
    return measured


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
