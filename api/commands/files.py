"""``laconic checkpoints``, ``models`` and ``artifacts``: what jobs leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from api.client import Client
from api.commands.options import AsJson, JobId, Url, out

checkpoints = typer.Typer(help="Checkpoints of a job.", no_args_is_help=True)
models = typer.Typer(help="Models with a name.", no_args_is_help=True)
artifacts = typer.Typer(help="Evaluations, reports and plots of a job.", no_args_is_help=True)

Step = Annotated[int, typer.Argument(min=0, help="Step of the checkpoint.", metavar="STEP")]
Folder = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
Name = Annotated[str, typer.Argument(help="Name of the model.", metavar="NAME")]


@checkpoints.command("list")
def list_checkpoints(job: JobId, as_json: AsJson = False, url: Url = None) -> None:
    """Show the checkpoints of a job, the newest first."""
    with Client(url) as client:
        found = client.checkpoints(job)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("step", "stage", "MiB", "pinned")
    for c in found:
        size = f"{c['bytes'] / 2**20:.1f}"
        table.add_row(str(c["step"]), c["stage"] or "", size, "yes" if c["pinned"] else "")
    out.print(table)


@checkpoints.command()
def pin(job: JobId, step: Step, url: Url = None) -> None:
    """Keep a checkpoint, whatever newer ones there are."""
    with Client(url) as client:
        client.pin(job, step)
    out.print(f"checkpoint {step} stays")


@checkpoints.command()
def unpin(job: JobId, step: Step, url: Url = None) -> None:
    """Let go of a checkpoint."""
    with Client(url) as client:
        client.unpin(job, step)
    out.print(f"checkpoint {step} may go")


@checkpoints.command()
def delete(job: JobId, step: Step, url: Url = None) -> None:
    """Take a checkpoint away, if nothing needs it."""
    with Client(url) as client:
        client.delete_checkpoint(job, step)
    out.print(f"checkpoint {step} is gone")


@checkpoints.command("download")
def download_checkpoint(job: JobId, step: Step, to: Folder, url: Url = None) -> None:
    """Fetch the files of a checkpoint; started again, it goes on where it broke."""
    with Client(url) as client:
        for file in client.checkpoint(job, step)["files"]:
            _fetch(
                client,
                f"/v1/jobs/{job}/checkpoints/{step}/files/",
                file["path"],
                to,
                file["sha256"],
            )


@models.command()
def promote(name: Name, job: JobId, step: Step, as_json: AsJson = False, url: Url = None) -> None:
    """Give the policy of a checkpoint a name, under which it stays."""
    with Client(url) as client:
        found = client.promote(name, job, step)
    if as_json:
        print(json.dumps(found))
        return
    out.print(f"{name} is step {step} of {job}: {found['path']}", soft_wrap=True)


@models.command("list")
def list_models(as_json: AsJson = False, url: Url = None) -> None:
    """Show the named models."""
    with Client(url) as client:
        found = client.models()
    if as_json:
        print(json.dumps(found))
        return
    table = Table("name", "job", "step", "path")
    for m in found:
        table.add_row(m["name"], m["job"], str(m["step"]), m["path"])
    out.print(table)


@models.command("download")
def download_model(name: Name, to: Folder, url: Url = None) -> None:
    """Fetch the files of a named model."""
    with Client(url) as client:
        found = {m["name"]: m for m in client.models()}
        for file in found[name]["files"] if name in found else []:
            _fetch(client, f"/v1/models/{name}/files/", file["path"], to, file["sha256"])
        if name not in found:
            raise ValueError(f"there is no model {name!r}; laconic models list shows them")


@models.command("delete")
def delete_model(name: Name, url: Url = None) -> None:
    """Take a name away, with its files."""
    with Client(url) as client:
        client.delete_model(name)
    out.print(f"{name} is gone")


@artifacts.command("list")
def list_artifacts(
    job: JobId,
    kind: Annotated[
        str | None, typer.Option(help="evaluation, model, report, analysis or plot.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what a job has left behind."""
    with Client(url) as client:
        found = client.artifacts(job, kind)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("path", "kind", "bytes")
    for a in found:
        table.add_row(a["path"], a["kind"], str(a["bytes"]))
    out.print(table)


@artifacts.command("download")
def download_artifacts(
    job: JobId,
    to: Folder,
    kind: Annotated[str | None, typer.Option(help="Only these.")] = None,
    url: Url = None,
) -> None:
    """Fetch what a job has left behind."""
    with Client(url) as client:
        for artifact in client.artifacts(job, kind):
            # The digest is that of the answer: an artifact may be written anew at any time.
            _fetch(client, f"/v1/jobs/{job}/artifacts/", artifact["path"], to, None)


def _fetch(client: Client, place: str, path: str, folder: Path, sha256: str | None) -> None:
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ValueError(f"the server names a file outside the folder: {path!r}")
    client.download(place + path, target, sha256)
    out.print(str(target), soft_wrap=True, highlight=False)
