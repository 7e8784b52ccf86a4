"""Jobs of a control plane: submit, look at, follow, steer."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

from api.client import Client
from api.commands.options import AsJson, JobId, Url, out
from api.overrides import BadInput, parse_settings, read_spec
from api.progress_view import ProgressView, job_table, print_outcome
from api.watching import view_of
from api.watching import watch as watch_job
from services.stores.lifecycle import ACTIVE

app = typer.Typer()

Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="What it is filed under; repeat it.", metavar="KEY=VALUE"),
]


@app.command()
def submit(
    preset: Annotated[str | None, typer.Option(help="Name of a preset.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override, e.g. stages.compression.steps=3.", metavar="P=V"),
    ] = None,
    spec: Annotated[
        str | None, typer.Option(help="Job specification, YAML or JSON (-: standard input).")
    ] = None,
    label: Labels = None,
    follow: Annotated[bool, typer.Option("--watch", help="Watch the job afterwards.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Submit a job from a preset or a specification."""
    body = {**job_body(preset, set_, spec), "labels": _labels(label)}
    with Client(url) as client:
        job = client.submit(body)
        if as_json:
            print(json.dumps(job))
        else:
            out.print(f"submitted {job['id']}")
        if follow:
            _watch(client, job["id"])


def job_body(preset: str | None, settings: list[str] | None, spec: str | None) -> dict[str, Any]:
    """What submitting sends, from the options that name a job.

    Raises:
        BadInput: they do not go together, or cannot be read.
    """
    if (preset is None) == (spec is None):
        raise BadInput("give either --preset NAME or --spec FILE; laconic presets lists the names")
    if spec is not None and settings:
        raise BadInput("--set goes with --preset; put the values into the specification itself")
    if spec is not None:
        return {"spec": read_spec(spec)}
    return {"preset": preset, "overrides": parse_settings(settings or [])}


def _labels(given: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or []]
    if wrong := [key for key, separator, _ in pairs if not separator]:
        raise BadInput(f"--label {wrong[0]}: write KEY=VALUE")
    return {key: value for key, _, value in pairs}


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(help="Id of the job.", metavar="[JOB]")] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs in this state; repeat it.")
    ] = None,
    label: Labels = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show one job, or the newest ones."""
    with Client(url) as client:
        if job is None:
            page = client.jobs(states=state or [], labels=_labels(label))
            if as_json:
                print(json.dumps(page))
                return
            newest = [*page["data"], *([] if state or label else client.evaluations()["data"])]
            out.print(job_table(newest) if newest else "no jobs yet")
            return
        found = client.job(job)
        if as_json:
            print(json.dumps(found))
            return
        view = view_of(found)
        if isinstance(view, ProgressView):
            view.see_metrics(client.metrics(job))
        for event in client.events(job, limit=1000):
            view.see_event(event)
        out.print(view)


@app.command()
def watch(job: JobId, url: Url = None) -> None:
    """Follow a job until it ends."""
    with Client(url) as client:
        _watch(client, job)


def _watch(client: Client, job_id: str) -> None:
    try:
        job = watch_job(client, job_id, out)
    except KeyboardInterrupt:
        out.print(f"the job goes on; see it again with: laconic watch {job_id}")
        return
    print_outcome(out, job)
    if job["state"] not in ACTIVE and job["state"] != "succeeded":
        raise typer.Exit(1)


Reason = Annotated[
    str | None, typer.Option(help="Why; it stands in the job's event log.", metavar="TEXT")
]


def _tell(answer: dict[str, Any], text: str, as_json: bool) -> None:
    """Print what was answered: as it is for a program, in words for a person."""
    if as_json:
        print(json.dumps(answer))
    else:
        out.print(text)


@app.command()
def cancel(
    job: JobId,
    reason: Reason = None,
    grace: Annotated[
        float | None,
        typer.Option(min=0, help="How long its driver may take.", metavar="SECONDS"),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """End a job for good."""
    with Client(url) as client:
        found = client.cancel(job, reason=reason, grace_seconds=grace)
    ended = found["state"] == "cancelled"
    _tell(found, f"{job} cancelled" if ended else f"{job} was asked to end", as_json)


@app.command()
def pause(job: JobId, reason: Reason = None, as_json: AsJson = False, url: Url = None) -> None:
    """Free the workers of a job after the step it is in; resume goes on with it."""
    with Client(url) as client:
        found = client.pause(job, reason=reason)
    paused = found["state"] == "paused"
    _tell(found, f"{job} is paused" if paused else f"{job} was asked to pause", as_json)


@app.command()
def stage(
    job: JobId,
    to: Annotated[str, typer.Argument(help="next, or the name of a stage ahead.")],
    reason: Reason = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Move a job to another stage after the step it is in."""
    with Client(url) as client:
        found = client.change_stage(job, to, reason=reason)
    _tell(found, f"{job} was asked to go on with stage {to}", as_json)


@app.command()
def resume(job: JobId, reason: Reason = None, as_json: AsJson = False, url: Url = None) -> None:
    """Go on with a paused, interrupted or failed job from its last checkpoint."""
    with Client(url) as client:
        found = client.resume(job, reason=reason)
    _tell(found, f"{job} queued, attempt {found['attempt']}", as_json)


@app.command()
def presets(as_json: AsJson = False, url: Url = None) -> None:
    """List the presets."""
    with Client(url) as client:
        found = client.presets()
    if as_json:
        print(json.dumps(found))
        return
    for preset in found:
        stages = ", ".join(f"{s['name']} {s['steps']} steps" for s in preset["spec"]["stages"])
        out.print(Text(f"{preset['name']} (version {preset['version']}): {stages}", "bold"))
        out.print(f"  {preset['description']}", soft_wrap=True)
