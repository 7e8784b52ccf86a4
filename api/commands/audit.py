"""``laconic audit``: the audit log, from the home folder or the store it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from api.commands.options import HomeFolder, out
from services.control.audit import AuditRecord, AuditStore, first_broken
from services.control.stores import open_control
from services.home import Home

app = typer.Typer(help="Who asked for what change.", no_args_is_help=True)

_PAGE = 1000


@app.command()
def export(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    home: HomeFolder = None,
) -> None:
    """Print the log, a JSON object a line."""
    for record in _records(_open(home), tenant):
        print(json.dumps({"id": record.id, **asdict(record.entry), "digest": record.digest}))


@app.command()
def verify(home: HomeFolder = None) -> None:
    """Check that no record was changed or taken out. Exit code 1 if one was."""
    broken = first_broken(_records(_open(home)))
    if broken is not None:
        out.print(f"the log was changed at record {broken}", style="red")
        raise typer.Exit(1)
    out.print("every record follows from the one before")


def _open(home: HomeFolder) -> AuditStore:
    return open_control(Home.resolve(home).create()).audit


def _records(store: AuditStore, tenant: str | None = None) -> Iterator[AuditRecord]:
    after = 0
    while page := store.records(after, _PAGE, tenant):
        yield from page
        after = page[-1].id
