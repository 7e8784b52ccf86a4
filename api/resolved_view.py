"""A specification on the terminal, each value with where it comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.table import Table

from services.presets.marks import resolved_values
from services.presets.registry import resolve
from services.spec.job import JobSpec

_STYLES: Final = {"paper": "green", "gap": "yellow", "changed": "magenta", "system": "dim"}


def print_resolved(console: Console, spec: JobSpec, *, as_json: bool) -> None:
    """Print every leaf with its mark, as a table or as JSON."""
    values = resolved_values(spec, resolve("paper-1.5b"))
    if as_json:
        print(json.dumps([asdict(v) for v in values], indent=1))
        return
    table = Table()
    table.add_column("setting", overflow="fold", ratio=3)
    table.add_column("value", overflow="fold", ratio=2)
    table.add_column("from")
    for v in values:
        table.add_row(v.path, json.dumps(v.value), f"[{_STYLES[v.mark]}]{v.mark}[/]")
    console.print(table)
