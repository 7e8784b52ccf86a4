"""What commands share: the consoles, and the options that mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)

JobId = Annotated[str, typer.Argument(help="Id of the job.", metavar="JOB")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="LACONIC_URL", help="Address of the control plane.")
]
HomeFolder = Annotated[
    Path | None, typer.Option("--home", envvar="LACONIC_HOME", help="Home folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
