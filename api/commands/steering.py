"""Steering jobs: cancel, pause, resume, move to another stage, fork."""

from __future__ import annotations

from typing import Annotated

import typer

from api.client import Client
from api.commands.options import (
    AsJson,
    IdempotencyKey,
    IfMatch,
    JobId,
    Labels,
    Reason,
    Url,
    labels_of,
    tell,
)
from api.overrides import parse_settings

app = typer.Typer()


@app.command()
def cancel(
    job: JobId,
    reason: Reason = None,
    grace: Annotated[
        float | None,
        typer.Option(min=0, help="How long its driver may take.", metavar="SECONDS"),
    ] = None,
    if_match: IfMatch = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """End a job for good."""
    with Client(url) as client:
        found = client.cancel(job, reason=reason, grace_seconds=grace, if_match=if_match)
    ended = found.state == "cancelled"
    tell(found, f"{job} cancelled" if ended else f"{job} was asked to end", as_json)


@app.command()
def pause(
    job: JobId,
    reason: Reason = None,
    if_match: IfMatch = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Free the workers of a job after the step it is in; resume goes on with it."""
    with Client(url) as client:
        found = client.pause(job, reason=reason, if_match=if_match)
    paused = found.state == "paused"
    tell(found, f"{job} is paused" if paused else f"{job} was asked to pause", as_json)


@app.command()
def stage(
    job: JobId,
    to: Annotated[str, typer.Argument(help="next, or the name of a stage ahead.")],
    reason: Reason = None,
    if_match: IfMatch = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Move a job to another stage after the step it is in."""
    with Client(url) as client:
        found = client.change_stage(job, to, reason=reason, if_match=if_match)
    tell(found, f"{job} was asked to go on with stage {to}", as_json)


@app.command()
def resume(
    job: JobId,
    from_step: Annotated[
        int | None,
        typer.Option(min=0, help="Go back to the checkpoint of this step.", metavar="STEP"),
    ] = None,
    reason: Reason = None,
    if_match: IfMatch = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Go on with a paused, interrupted or failed job from its last checkpoint, or an earlier
    one."""
    with Client(url) as client:
        found = client.resume(job, from_step=from_step, reason=reason, if_match=if_match)
    tell(found, f"{job} queued, attempt {found.attempt}", as_json)


@app.command()
def fork(
    job: JobId,
    step: Annotated[
        int | None,
        typer.Option(min=0, help="Step of the checkpoint (default: the newest).", metavar="STEP"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change of what is yet to come.", metavar="P=V"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the new job.")] = None,
    label: Labels = None,
    reason: Reason = None,
    key: IdempotencyKey = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Make a job that goes on from a checkpoint of another."""
    with Client(url) as client:
        made = client.fork(
            job,
            step,
            name=name,
            labels=labels_of(label) if label else None,
            overrides=parse_settings(set_ or []),
            reason=reason,
            key=key,
        )
    assert made.forked_from is not None
    tell(made, f"{made.id} goes on from step {made.forked_from.step} of {job}", as_json)
