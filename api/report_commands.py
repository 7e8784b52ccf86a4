"""Commands that write what a job came to: its report, its figures, several jobs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.overrides import BadInput
from services.home import Home

out = Console()

JobId = Annotated[str, typer.Argument(help="Id of the job.", metavar="JOB")]
HomeFolder = Annotated[
    Path | None, typer.Option("--home", envvar="LACONIC_HOME", help="Home folder.")
]


def report(
    job: JobId,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to (default: the job's own).")
    ] = None,
    home: HomeFolder = None,
) -> None:
    """Write report.html, report.json and the plots of a job."""
    from services.reports.write import ReportError, write_report
    from services.stores.protocol import JobNotFound

    place = Home.resolve(home)
    try:
        page = write_report(place.root, job, out_folder or place.job(job).report)
    except (ReportError, JobNotFound) as error:
        raise BadInput(str(error)) from error
    out.print(f"report written to {page}", soft_wrap=True)


def analyze(
    job: JobId,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to (default: the job's own).")
    ] = None,
    exact_tokens: Annotated[
        int,
        typer.Option(min=0, help="Tokens of each saved model to take the exact gradient of."),
    ] = 0,
    home: HomeFolder = None,
) -> None:
    """Write the paper's figures, measured on a job: PNG files and analysis.json."""
    from services.analysis.write import write_analysis
    from services.reports.collect import ReportError
    from services.stores.protocol import JobNotFound

    place = Home.resolve(home)
    try:
        folder = out_folder or place.job(job).root / "analysis"
        written = write_analysis(place.root, job, folder, exact_tokens)
    except (ReportError, JobNotFound) as error:
        raise BadInput(str(error)) from error
    figures = ", ".join(path.name for path in written.figures)
    out.print(f"{figures} and {written.data.name} written to {written.data.parent}", soft_wrap=True)
    if without := written.missing.get("tokens"):
        raise BadInput(f"no token figures: {without}")


def compare(
    reports: Annotated[
        list[str],
        typer.Argument(help="report.json of each run, the reference first.", metavar="[NAME=]FILE"),
    ],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
) -> None:
    """Write runs side by side: tables 1 and 2 of the paper, and figures 3b and 3c."""
    from services.paper_tables.runs import Run, read_run
    from services.paper_tables.write import write_comparison

    def read(text: str) -> Run:
        name, named, file = text.partition("=")
        return read_run(Path(file), name) if named else read_run(Path(text))

    try:
        page = write_comparison([read(text) for text in reports], out_folder)
    except ValueError as error:
        raise BadInput(str(error)) from error
    out.print(f"comparison written to {page}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (report, analyze, compare):
        app.command()(command)
