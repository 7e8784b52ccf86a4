"""``laconic data``: which benchmarks are at hand, and whether training data gives them away."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.overrides import BadInput

if TYPE_CHECKING:
    from services.decontamination import Overlap
    from services.question import Question

_EXAMPLES = 5
_TEXT = 100
"""Characters shown of a text in common."""

data = typer.Typer(help="Benchmarks and training data.", no_args_is_help=True)
out = Console()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data.command("list")
def list_(
    folder: Annotated[
        Path | None, typer.Option(envvar="LACONIC_DATA", help="Folder of local files.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the benchmarks: how many questions, where found, whether the content is the pinned one.

    Nothing is downloaded."""
    from services.benchmarks.survey import survey

    found = survey(folder)
    if as_json:
        print(json.dumps([asdict(s) for s in found]))
        return
    table = Table("benchmark", "questions", "content", "found", box=None, pad_edge=False)
    table.columns[-1].overflow = "fold"
    for standing in found:
        rows = f"{standing.rows}"
        if standing.rows_found not in (None, standing.rows):
            rows = f"{standing.rows_found} of {standing.rows}"
        place = standing.source or "nowhere"
        if standing.revision:
            place += f" at {standing.revision[:12]}"
        table.add_row(standing.name, rows, standing.content, place)
    out.print(table)
    for standing in found:
        if standing.note:
            out.print(f"{standing.name}: {standing.note}", markup=False, soft_wrap=True)


@data.command()
def check(
    train: Annotated[
        str, typer.Option(help="Training data: a file, benchmark:NAME or builtin:NAME.")
    ],
    held_out: Annotated[
        list[str], typer.Option("--eval", help="Held-out data, likewise; may be repeated.")
    ],
    question_field: Annotated[str, typer.Option(help="Column of files.")] = "question",
    answer_field: Annotated[str, typer.Option(help="Column of files.")] = "answer",
    run: Annotated[
        int | None, typer.Option(min=1, help="Words shared in one piece (default 13).")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least part of the held-out question (default 0.5)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for held-out questions in training data. Exit code 1 if there are any."""
    from services.decontamination import RUN, SHARE, find_overlaps

    columns = {"question_field": question_field, "answer_field": answer_field}
    known = _questions(train, columns)
    report = {}
    for path in held_out:
        asked = _questions(path, columns)
        found = find_overlaps(known, asked, run=run or RUN, share=SHARE if share is None else share)
        report[path] = {"questions": len(asked), "overlaps": [asdict(o) for o in found]}
        if not as_json:
            _print(path, len(asked), found)
    if as_json:
        print(json.dumps({"train": train, "questions": len(known), "held_out": report}))
    if any(r["overlaps"] for r in report.values()):
        raise typer.Exit(1)


def _questions(path: str, columns: dict[str, str]) -> list[Question]:
    from services.data_error import DataError
    from services.datasets import load_questions
    from services.spec.job import DataSpec

    try:
        return load_questions(DataSpec(path=path, **columns))
    except DataError as error:
        raise BadInput(str(error)) from error


def _print(path: str, questions: int, found: list[Overlap]) -> None:
    from services.decontamination import summary

    out.print(f"{path}: {summary(found, questions)}", markup=False, soft_wrap=True)
    for overlap in found[:_EXAMPLES]:
        text = " ".join(overlap.text.split())
        text = text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
        line = f"  {overlap.held_out_id} ~ {overlap.train_id} ({overlap.kind}): {text}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(found) > _EXAMPLES:
        out.print(f"  and {len(found) - _EXAMPLES} more pairs (--json lists all)")
