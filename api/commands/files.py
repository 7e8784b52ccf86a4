"""``laconic checkpoints``, ``models`` and ``artifacts``: what jobs leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from api.client import Client
from api.commands.options import AsJson, JobId, Url, out, tell, tell_done, tell_files

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
        tell(found, "", as_json)
        return
    table = Table("step", "stage", "MiB", "pinned")
    for c in found:
        size = f"{c.bytes / 2**20:.1f}"
        table.add_row(str(c.step), c.stage or "", size, "yes" if c.pinned else "")
    out.print(table)


@checkpoints.command()
def pin(job: JobId, step: Step, as_json: AsJson = False, url: Url = None) -> None:
    """Keep a checkpoint, whatever newer ones there are."""
    with Client(url) as client:
        client.pin(job, step)
    tell_done({"job": job, "step": step, "pinned": True}, f"checkpoint {step} stays", as_json)


@checkpoints.command()
def unpin(job: JobId, step: Step, as_json: AsJson = False, url: Url = None) -> None:
    """Let go of a checkpoint."""
    with Client(url) as client:
        client.unpin(job, step)
    tell_done({"job": job, "step": step, "pinned": False}, f"checkpoint {step} may go", as_json)


@checkpoints.command()
def delete(job: JobId, step: Step, as_json: AsJson = False, url: Url = None) -> None:
    """Take a checkpoint away, if nothing needs it."""
    with Client(url) as client:
        client.delete_checkpoint(job, step)
    tell_done({"job": job, "step": step, "deleted": True}, f"checkpoint {step} is gone", as_json)


@checkpoints.command("show")
def show_checkpoint(job: JobId, step: Step, as_json: AsJson = False, url: Url = None) -> None:
    """Show the files of a checkpoint with their size and SHA-256."""
    with Client(url) as client:
        found = client.checkpoint(job, step)
    if as_json:
        tell(found, "", as_json)
        return
    table = Table("path", "bytes", "SHA-256")
    for file in found.files:
        table.add_row(file.path, str(file.bytes), file.sha256)
    out.print(table)


@checkpoints.command("download")
def download_checkpoint(
    job: JobId, step: Step, to: Folder, as_json: AsJson = False, url: Url = None
) -> None:
    """Fetch the files of a checkpoint; started again, it goes on where it broke."""
    place = f"/v1/jobs/{job}/checkpoints/{step}/files/"
    with Client(url) as client:
        files = client.checkpoint(job, step).files
        tell_files((_fetch(client, place, f.path, to, f.sha256) for f in files), as_json)


@models.command()
def promote(name: Name, job: JobId, step: Step, as_json: AsJson = False, url: Url = None) -> None:
    """Give the policy of a checkpoint a name, under which it stays."""
    with Client(url) as client:
        found = client.promote(name, job, step)
    if as_json:
        tell(found, "", as_json)
        return
    out.print(f"{name} is step {step} of {job}: {found.path}", soft_wrap=True)


@models.command("list")
def list_models(as_json: AsJson = False, url: Url = None) -> None:
    """Show the named models."""
    with Client(url) as client:
        found = client.models()
    if as_json:
        tell(found, "", as_json)
        return
    table = Table("name", "job", "step", "path")
    for m in found:
        table.add_row(m.name, m.job, str(m.step), m.path)
    out.print(table)


@models.command("download")
def download_model(name: Name, to: Folder, as_json: AsJson = False, url: Url = None) -> None:
    """Fetch the files of a named model."""
    place = f"/v1/models/{name}/files/"
    with Client(url) as client:
        files = client.model(name).files
        tell_files((_fetch(client, place, f.path, to, f.sha256) for f in files), as_json)


@models.command("delete")
def delete_model(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Take a name away, with its files."""
    with Client(url) as client:
        client.delete_model(name)
    tell_done({"name": name, "deleted": True}, f"{name} is gone", as_json)


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
        tell(found, "", as_json)
        return
    table = Table("path", "kind", "bytes")
    for a in found:
        table.add_row(a.path, a.kind, str(a.bytes))
    out.print(table)


@artifacts.command("download")
def download_artifacts(
    job: JobId,
    to: Folder,
    kind: Annotated[str | None, typer.Option(help="Only these.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Fetch what a job has left behind."""
    place = f"/v1/jobs/{job}/artifacts/"
    with Client(url) as client:
        found = client.artifacts(job, kind)
        # The digest is that of the answer: an artifact may be written anew at any time.
        tell_files((_fetch(client, place, a.path, to, None) for a in found), as_json)


def _fetch(client: Client, place: str, path: str, folder: Path, sha256: str | None) -> Path:
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ValueError(f"the server names a file outside the folder: {path!r}")
    client.download(place + path, target, sha256)
    return target
