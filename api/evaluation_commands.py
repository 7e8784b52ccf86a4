"""Commands about evaluations: make one, tabulate several, compare two."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.overrides import BadInput, parse_settings
from services.home import Home

out = Console()


_Model = Annotated[
    str,
    typer.Option(help="Folder, builtin:NAME, job:JOB_ID or job:JOB_ID/LABEL.", metavar="MODEL"),
]
_Benchmarks = Annotated[
    str, typer.Option(help="Names (laconic data list) or files, with commas.", metavar="B[,B2]")
]
_Samples = Annotated[
    int | None,
    typer.Option(min=1, help="Responses to each question (16 for aime24 and amc, else 4)."),
]
_MaxTokens = Annotated[
    int, typer.Option(help="Most tokens of a response, within the model's context.")
]
_Questions = Annotated[int | None, typer.Option(min=1, help="Questions of each benchmark (all).")]
_Policy = Annotated[str, typer.Option(help="Grading: eval, reward or thinkless-parity (inflated).")]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other field, e.g. generator.gpus=1.", metavar="P=V"),
]
_Home = Annotated[Path | None, typer.Option("--home", envvar="LACONIC_HOME", help="Home folder.")]
_Url = Annotated[
    str | None,
    typer.Option("--url", envvar="LACONIC_URL", help="Address of a control plane (its own)."),
]


def eval_(
    model: _Model,
    benchmark: _Benchmarks,
    samples: _Samples = None,
    temperature: Annotated[float, typer.Option(help="Sampling temperature.")] = 0.6,
    top_p: Annotated[float, typer.Option(help="Nucleus sampling.")] = 0.95,
    max_tokens: _MaxTokens = 32768,
    questions: _Questions = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes every response.")] = 0,
    policy: _Policy = "eval",
    workers: Annotated[int, typer.Option(min=1, help="vLLM workers.")] = 1,
    question_field: Annotated[str, typer.Option(help="Column of a file.")] = "question",
    answer_field: Annotated[str, typer.Option(help="Column of a file.")] = "answer",
    allow_other_content: Annotated[
        bool, typer.Option(help="Take a benchmark whose questions are not the pinned ones.")
    ] = False,
    set_: _Settings = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to (evaluations/NAME).")
    ] = None,
    home: _Home = None,
    url: _Url = None,
) -> None:
    """Evaluate a model on benchmarks; the same command goes on where an earlier one stopped."""
    from api.evaluate import run_evaluation

    columns = {
        "question_field": question_field,
        "answer_field": answer_field,
        "allow_other_content": allow_other_content,
    }
    names = [b.strip() for b in benchmark.split(",") if b.strip()]
    settings = parse_settings(set_ or [])
    spec: dict[str, Any] = {
        "name": _name(model, names),
        **settings,
        "model": {"path": _model(model)},
        "benchmarks": [{"path": _benchmark(b), **columns} for b in names],
        "samples": samples,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "questions": questions,
        "seed": seed,
        "policy": policy,
        "generator": {"workers": workers, **settings.get("generator", {})},
    }
    folder = to or Path("evaluations") / spec["name"]
    raise typer.Exit(run_evaluation(out, spec, folder, Home.resolve(home), url))


def table(
    results: Annotated[
        list[str],
        typer.Argument(help="Folders that laconic eval wrote.", metavar="(NAME=)FOLDER"),
    ],
    base: Annotated[
        list[str] | None,
        typer.Option(help="Result that those of its size were made from (the first of each size)."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="File to write too.")] = None,
) -> None:
    """Print table 1 of the paper for these evaluations, with intervals."""
    from services.atomic_write import write_whole
    from services.evaluation_reports.result import ResultError, read_result
    from services.evaluation_reports.table import table_page

    try:
        page = table_page([read_result(text) for text in results], base or ())
    except ResultError as error:
        raise BadInput(str(error)) from error
    print(page, end="")
    if to is not None:
        write_whole(to, page)


def compare_evals(
    before: Annotated[
        str, typer.Argument(help="Folder that laconic eval wrote.", metavar="(NAME=)BEFORE")
    ],
    after: Annotated[
        str, typer.Argument(help="Folder of the other model.", metavar="(NAME=)AFTER")
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
) -> None:
    """Compare two evaluated models question by question: paired tests, transitions, plots."""
    from services.evaluation_reports.comparison import write_pairs
    from services.evaluation_reports.result import ResultError, read_result

    try:
        page = write_pairs(read_result(before), read_result(after), to)
    except ResultError as error:
        raise BadInput(str(error)) from error
    print(page.read_text(encoding="utf-8"), end="")
    out.print(f"comparison written to {page}", soft_wrap=True)


def _model(text: str) -> str:
    """Paths mean the folder the command is given in, not the one the control plane runs in."""
    from services.builtin import PREFIX
    from services.model_source import JOB

    named = text.startswith((PREFIX, JOB))
    return text if named else str(Path(text).expanduser().absolute())


def _benchmark(text: str) -> str:
    from services.benchmarks.registry import BENCHMARKS
    from services.builtin import BENCHMARK_PREFIX, is_name

    if is_name(text):
        return text
    # What looks like no file is taken for a name, so that a slip of the pen is told the names.
    if text in BENCHMARKS or not (set(text) & set("./") or Path(text).exists()):
        return BENCHMARK_PREFIX + text
    return str(Path(text).expanduser().absolute())


def _name(model: str, benchmarks: list[str]) -> str:
    from services.evaluation.quotation import model_name
    from services.spec.evaluation_job import BenchmarkSpec, name_of

    names = [name_of(BenchmarkSpec(path=b)) for b in benchmarks]
    text = "-".join([model_name(model), *names])
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60] or "evaluation"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("eval")(eval_)
    app.command()(table)
    app.command("compare-evals")(compare_evals)
