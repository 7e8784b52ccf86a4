"""Jobs of a control plane: submit, look at, follow."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from api.client import Client
from api.commands.options import AsJson, IdempotencyKey, JobId, Labels, Url, labels_of, out, tell
from api.overrides import BadInput, parse_settings, read_spec
from api.progress_view import ProgressView, job_table, print_outcome
from api.times import moment
from api.watching import shown, view_of
from api.watching import watch as watch_job
from services.stores.lifecycle import ACTIVE

app = typer.Typer()


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
    key: IdempotencyKey = None,
    follow: Annotated[bool, typer.Option("--watch", help="Watch the job afterwards.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Submit a job from a preset or a specification."""
    body = {**job_body(preset, set_, spec), "labels": labels_of(label)}
    with Client(url) as client:
        job = client.submit(body, key)
        tell(job, f"submitted {job.id}", as_json)
        if follow:
            _watch(client, job.id)


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


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(help="Id of the job.", metavar="[JOB]")] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs in this state; repeat it.")
    ] = None,
    label: Labels = None,
    name: Annotated[str | None, typer.Option(help="Only jobs of this name.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only jobs in this stage.")] = None,
    created_after: Annotated[
        str | None, typer.Option(help="Only newer ones: 2026-11-25, or 2h ago: 2h.", metavar="TIME")
    ] = None,
    created_before: Annotated[
        str | None, typer.Option(help="Only older ones, likewise.", metavar="TIME")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most jobs of a page.")] = 20,
    after: Annotated[
        str | None, typer.Option(help="Go on behind this page.", metavar="CURSOR")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show one job, or the newest ones."""
    filters: dict[str, Any] = {
        "states": state or [],
        "name": name,
        "stage": stage,
        "created_after": moment("--created-after", created_after),
        "created_before": moment("--created-before", created_before),
        "labels": labels_of(label),
    }
    with Client(url) as client:
        if job is not None:
            _status_of(client, job, as_json)
            return
        page = client.jobs(limit, after, **filters)
        if as_json:
            print(page.model_dump_json())
            return
        plain = not after and not any(filters.values())
        newest = [*page.data, *(client.evaluations(limit).data if plain else [])]
    out.print(job_table(map(shown, newest)) if newest else "no jobs yet")
    if page.next_cursor:
        # Bare, so that it can be copied, whatever the width of the terminal.
        out.print(f"more with: --after {page.next_cursor}", soft_wrap=True, highlight=False)


def _status_of(client: Client, job_id: str, as_json: bool) -> None:
    found = client.job(job_id)
    if as_json:
        print(found.model_dump_json())
        return
    view = view_of(found)
    if isinstance(view, ProgressView):
        view.see_metrics(client.metrics(job_id))
    for event in client.events(job_id, limit=1000):
        view.see_event(shown(event))
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
    if job.state not in ACTIVE and job.state != "succeeded":
        raise typer.Exit(1)


@app.command()
def presets(as_json: AsJson = False, url: Url = None) -> None:
    """List the presets."""
    with Client(url) as client:
        found = client.presets()
    if as_json:
        tell(found, "", as_json)
        return
    for preset in found:
        stages = ", ".join(f"{s.name} {s.steps} steps" for s in preset.spec.stages)
        out.print(Text(f"{preset.name} (version {preset.version}): {stages}", "bold"))
        out.print(f"  {preset.description}", soft_wrap=True)
