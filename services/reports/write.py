"""Writes a report: the page, its plots as PNG, and every figure as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.analysis.sections import Section
from services.analysis.write import analyse_job
from services.home import Home
from services.reports.collect import ReportData, ReportError, collect
from services.reports.findings import findings, headline
from services.reports.plots import headline_figure
from services.reports.render import figures, render_html
from services.stores.open import NoStore, open_store

__all__ = ["ReportError", "write_report"]

_DPI = 160


def write_report(home: Path, job_id: str, out: Path) -> Path:
    """Write ``report.html``, ``report.json`` and the PNG plots into ``out``; return the page.

    A job that has not finished gets a report on what there is so far.

    Args:
        home: Laconic's home folder, with the job store.
        job_id: the job.
        out: folder to write into, made when missing; files of an earlier report are replaced.

    Raises:
        JobNotFound: no job has this id.
        ReportError: there is no job store, an evaluation cannot be read, or ``out`` cannot be
            written.
    """
    place = Home.resolve(home)
    try:
        with closing(open_store(None, place, create=False)) as store:
            data = collect(store, place.job(job_id), job_id)
    except NoStore as e:
        raise ReportError(str(e)) from e
    try:
        return write_files(data, out, analyse_job(data, place.job(job_id)).sections)
    except OSError as e:
        raise ReportError(f"the report cannot be written to {out}: {e}") from e


def write_files(data: ReportData, out: Path, sections: Sequence[Section] = ()) -> Path:
    """Write the files of a report on ``data``; return the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures(data).items():
        figure.savefig(out / f"{name}.png", dpi=_DPI, facecolor="white")
    if data.evaluations and data.steps:
        headline_figure(data).savefig(out / "headline.png", dpi=_DPI, facecolor="white")
    content = json.dumps(report_content(data), indent=1, ensure_ascii=False)
    (out / "report.json").write_text(content + "\n")
    page = out / "report.html"
    page.write_text(render_html(data, sections))
    return page


def report_content(data: ReportData) -> dict[str, Any]:
    """Return what ``report.json`` holds: the findings, then every figure."""
    return {
        "headline": headline(data),
        "findings": [asdict(f) for f in findings(data)],
        **data.as_json(),
    }
