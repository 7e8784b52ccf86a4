"""What commands share: the consoles, the options that mean the same everywhere, and answers told
to people or programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from api.overrides import BadInput

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
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="What it is filed under; repeat it.", metavar="KEY=VALUE"),
]
Reason = Annotated[
    str | None, typer.Option(help="Why; it stands in the job's event log.", metavar="TEXT")
]
IfMatch = Annotated[
    str | None,
    typer.Option(help="Only if the job still has this ETag (laconic etag JOB).", metavar="ETAG"),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", help="The same key again makes no second job.", metavar="KEY"
    ),
]


def labels_of(given: list[str] | None) -> dict[str, str]:
    """What ``--label`` was given.

    Raises:
        BadInput: one is not ``KEY=VALUE``.
    """
    pairs = [text.partition("=") for text in given or []]
    if wrong := [key for key, separator, _ in pairs if not separator]:
        raise BadInput(f"--label {wrong[0]}: write KEY=VALUE")
    return {key: value for key, _, value in pairs}


def tell(answer: BaseModel | Sequence[BaseModel], text: str, as_json: bool) -> None:
    """Print what was answered: as it is for a program, in words for a person."""
    if not as_json:
        out.print(text, soft_wrap=True, highlight=False)
    elif isinstance(answer, BaseModel):
        print(answer.model_dump_json())
    else:
        print(json.dumps([one.model_dump(mode="json") for one in answer]))


def tell_done(what: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Say that something was done that the API answers with nothing."""
    if as_json:
        print(json.dumps(what))
    else:
        out.print(text, soft_wrap=True, highlight=False)


def tell_files(files: Iterable[Path], as_json: bool) -> None:
    """Name files as they are written; to a program all of them at the end."""
    written = []
    for file in files:
        written.append(str(file))
        if not as_json:
            out.print(str(file), soft_wrap=True, highlight=False)
    if as_json:
        print(json.dumps(written))
