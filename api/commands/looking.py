"""Before and after a job: would it be right, what would it take, has it ended, what did it say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table

from api.answers.whoami import Share
from api.client import Client, NotYetEnded
from api.commands.jobs import job_body
from api.commands.options import AsJson, JobId, Url, err, out, tell
from api.picked_up import picked_up
from api.progress_view import duration, print_outcome

app = typer.Typer()

Preset = Annotated[str | None, typer.Option(help="Name of a preset.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override.", metavar="P=V")]
Spec = Annotated[str | None, typer.Option(help="Job specification (-: standard input).")]


@app.command()
def validate(
    preset: Preset = None,
    set_: Set = None,
    spec: Spec = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Check a job as submitting would, and say what is allowed and perhaps not meant."""
    with Client(url) as client:
        found = client.validate(job_body(preset, set_, spec))
    if as_json:
        print(found.model_dump_json())
        return
    for warning in found.warnings:
        err.print(f"warning: {warning.pointer}: {warning.detail}", soft_wrap=True)
    starts = "would start at once" if found.capability.starts_at_once else "would wait"
    out.print(f"this job would be taken, and {starts}")


@app.command()
def estimate(
    preset: Preset = None,
    set_: Set = None,
    spec: Spec = None,
    mean: Annotated[
        float | None, typer.Option("--mean-tokens", help="Mean response length, if known.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Say what a job will take: tokens, time, and memory by role."""
    body = job_body(preset, set_, spec)
    with Client(url) as client:
        found = client.estimate({**body, **({"mean_response_tokens": mean} if mean else {})})
    if as_json:
        print(found.model_dump_json())
        return
    seconds = found.seconds
    out.print(
        f"{found.steps} steps, {duration(seconds.expected)} "
        f"({duration(seconds.low)} to {duration(seconds.high)}), "
        f"{found.gpu_hours.expected:.1f} GPU hours"
    )
    table = Table("role", "workers", "memory, GiB", "GPU memory, GiB", "")
    for role in found.memory:
        main, on_gpu = f"{role.main_gib:.2f}", f"{role.gpu_gib:.2f}"
        table.add_row(role.role, str(role.workers), main, on_gpu, role.because)
    out.print(table)


@app.command()
def wait(
    job: JobId,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Give up after so long.", metavar="SECONDS")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Wait until a job has ended. Exit code 0 if it succeeded, 3 if it goes on after --timeout,
    else 1."""
    with Client(url) as client:
        try:
            found = client.wait(job, timeout_seconds=timeout)
        except NotYetEnded as error:
            err.print(str(error), soft_wrap=True)
            raise typer.Exit(3) from error
    if as_json:
        print(found.model_dump_json())
    else:
        print_outcome(out, found)
    if found.state != "succeeded":
        raise typer.Exit(1)


@app.command()
def logs(
    job: JobId,
    role: Annotated[str | None, typer.Argument(help="driver, generator, learner ...")] = None,
    rank: Annotated[int, typer.Option(min=0, help="Which of the role's workers.")] = 0,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the job ends.")] = False,
    tail: Annotated[int | None, typer.Option(min=1, help="Only the last bytes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The list of logs as JSON.")] = False,
    url: Url = None,
) -> None:
    """Show the log of one worker, or which workers have one."""
    with Client(url) as client:
        if role is None and as_json:
            tell(client.logs(job), "", as_json)
            return
        if role is None:
            table = Table("role", "rank", "bytes")
            for found in client.logs(job):
                table.add_row(found.role, str(found.rank), str(found.bytes))
            out.print(table)
            return
        for text in _log(client, job, role, rank, -tail if tail else 0, follow):
            sys.stdout.write(text)
            sys.stdout.flush()


def _log(client: Client, job: str, role: str, rank: int, start: int, follow: bool) -> Iterator[str]:
    """The text of a log, until the job has ended if it is followed."""
    place = start
    if follow:
        for text, behind in picked_up(
            client, job, start, lambda at: client.follow_log(job, role, rank, at)
        ):
            place = behind
            yield text
    while (piece := client.log(job, role, rank, place)).text:
        yield piece.text
        place = piece.next_start


@app.command()
def whoami(as_json: AsJson = False, url: Url = None) -> None:
    """Show what the control plane makes of the key (LACONIC_API_KEY)."""
    with Client(url) as client:
        found = client.whoami()
    if as_json:
        print(found.model_dump_json())
        return
    out.print(f"{found.actor} of tenant {found.tenant}: {', '.join(found.scopes)}")
    for name in ("jobs", "workers", "storage_bytes"):
        share: Share = getattr(found, name)
        out.print(f"  {name}: {share.used} of {share.allowed or 'any number'}")
