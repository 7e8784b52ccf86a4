"""What a job says of itself: its events, its figures, its tag."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from api.client import Client
from api.commands.options import AsJson, JobId, Url, out
from api.overrides import BadInput
from api.picked_up import picked_up
from api.progress_view import step_line
from api.schemas import Event

app = typer.Typer()

_PAGE = 1000


@app.command()
def events(
    job: JobId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the job ends.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only those behind this id.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    url: Url = None,
) -> None:
    """Show the events of a job, oldest first: what happened, who asked for it, and why."""
    with Client(url) as client:
        for event in _events(client, job, after, follow):
            if as_json:
                print(event.model_dump_json(), flush=True)
                continue
            clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
            who = f"  ({event.author}" if event.author else ""
            why = f": {event.reason}" if event.author and event.reason else ""
            said = f"{event.id:>5}  {clock}  {event.message}{who}{why}" + (")" if who else "")
            out.print(said, soft_wrap=True, markup=False, highlight=False)


def _events(client: Client, job: str, after: int, follow: bool) -> Iterator[Event]:
    """Events, until the job has ended if it is followed."""

    def stream(behind: int) -> Iterator[tuple[Event | None, int]]:
        for event in client.follow(job, behind):
            behind = event.id if event else behind
            yield event, behind

    place = after
    if follow:
        for event, behind in picked_up(client, job, after, stream):
            place = behind
            if event is not None:
                yield event
    while page := client.events(job, place, _PAGE):
        yield from page
        place = page[-1].id


@app.command()
def metrics(
    jobs: Annotated[list[str], typer.Argument(help="Id of the job, or several.", metavar="JOB")],
    csv: Annotated[bool, typer.Option("--csv", help="A table with every figure.")] = False,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="Curves of this figure, e.g. entropy; repeat it."),
    ] = None,
    points: Annotated[int, typer.Option(min=2, help="Most points of a curve.")] = 500,
    after: Annotated[int, typer.Option(min=0, help="Only steps behind this one.")] = 0,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show the figures of each step of a job, or curves of some figures of several jobs."""
    if (csv and (field or as_json or after)) or (len(jobs) > 1 and not field):
        raise BadInput("give one job, with or without --csv, or --field for curves of several")
    with Client(url) as client:
        if field:
            curves = [c.model_dump(mode="json") for c in client.curves(jobs, field, points)]
            print(json.dumps(curves))
        elif csv:
            for part in client.metrics_csv(jobs[0]):
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        else:
            _steps(client, jobs[0], after, as_json)


def _steps(client: Client, job: str, after: int, as_json: bool) -> None:
    total = str((client.job(job).progress or {}).get("total_steps", "?"))
    while page := client.metrics(job, after):
        for record in page:
            text = json.dumps(record) if as_json else step_line(record, total)
            out.print(text, soft_wrap=True, markup=False, highlight=False)
        after = int(page[-1]["step"])


@app.command()
def etag(job: JobId, url: Url = None) -> None:
    """Print the tag of a job as it is now, for --if-match."""
    with Client(url) as client:
        print(client.etag(job))
