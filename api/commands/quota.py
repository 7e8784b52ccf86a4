"""``laconic quota``: what a tenant may have. Works on the home folder and the store it names."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from api.commands.options import AsJson, HomeFolder, out
from services.control.quotas import Quota, QuotaStore
from services.control.stores import open_control
from services.home import Home

app = typer.Typer(help="What a tenant may have at the same time.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="Name of the tenant.", metavar="TENANT")]
Bound = Annotated[int | None, typer.Option(min=1, help="At most; no bound without it.")]


@app.command("set")
def set_(
    tenant: Tenant,
    jobs: Bound = None,
    workers: Bound = None,
    storage_gib: Annotated[
        float | None, typer.Option(min=0.001, help="At most; no bound without it.")
    ] = None,
    home: HomeFolder = None,
) -> None:
    """Bound a tenant's queued and running jobs, their workers, and what it has on disk."""
    storage = None if storage_gib is None else int(storage_gib * 2**30)
    _open(home).set_quota(tenant, Quota(jobs, workers, storage))
    out.print(f"quota of {tenant} set")


@app.command()
def unset(tenant: Tenant, home: HomeFolder = None) -> None:
    """Take a tenant's own quota away: the default of the control plane counts again."""
    _open(home).set_quota(tenant, None)
    out.print(f"{tenant} has the default quota")


@app.command("list")
def list_(as_json: AsJson = False, home: HomeFolder = None) -> None:
    """Show the tenants that have a quota of their own."""
    if as_json:
        print(json.dumps({t: asdict(q) for t, q in _open(home).quotas().items()}))
        return
    table = Table("tenant", "jobs", "workers", "storage")
    for tenant, quota in _open(home).quotas().items():
        storage = quota.storage_bytes
        table.add_row(
            tenant,
            str(quota.jobs or "-"),
            str(quota.workers or "-"),
            "-" if storage is None else f"{storage / 2**30:g} GiB",
        )
    out.print(table)


def _open(home: HomeFolder) -> QuotaStore:
    return open_control(Home.resolve(home).create()).quotas
