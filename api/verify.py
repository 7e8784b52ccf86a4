"""``laconic verify``: judge a file of responses, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from api.overrides import BadInput

_LOOK_EVERY = 100
"""Lines between two changes of the progress bar."""


def verify(
    source: Annotated[Path, typer.Option("--input", help='JSONL with "id", "gold" and "output".')],
    target: Annotated[Path, typer.Option("--output", help="JSONL of verdicts to write.")],
    policy: Annotated[str, typer.Option(help="How much an answer must do.")] = "reward",
    timeout: Annotated[
        float, typer.Option(min=0.01, help="Longest time for one answer, in seconds.")
    ] = 3.0,
    workers: Annotated[int, typer.Option(min=1, max=512, help="Answers judged at a time.")] = 2,
    kind: Annotated[str, typer.Option(help="math, or the name of an installed verifier.")] = "math",
) -> None:
    """Judge responses: one verdict a line, in the order of the input. Needs no server."""
    from services.spec.job import VerifierSpec
    from services.verification.case_file import verify_file
    from services.verification.kinds import UnknownKind, check
    from services.verification.policy import Policy
    from services.verification.pool import VerificationPool

    if policy not in get_args(Policy):
        raise BadInput(f"no policy {policy!r}; there are {', '.join(get_args(Policy))}")
    if not source.is_file():
        raise BadInput(f"{source}: no such file; give the path of a JSONL file of cases")
    if target.exists() and target.samefile(source):
        raise BadInput(f"{target} is the input; write the verdicts to another file")
    try:
        check(kind)
    except UnknownKind as error:
        raise BadInput(str(error)) from error
    out = Console()
    memory = VerifierSpec().memory_mib
    with VerificationPool(workers, timeout, memory, kind=kind) as pool, _bar(out) as bar:
        task = bar.add_task("", total=source.stat().st_size, lines=0)

        def show(lines: int, taken: int) -> None:
            if lines % _LOOK_EVERY == 0:
                bar.update(task, completed=taken, lines=lines)

        counts = verify_file(source, target, pool, cast(Policy, policy), show)
        bar.update(task, completed=source.stat().st_size, lines=counts.total())
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
    out.print(f"{verdicts or 'no cases'}; written to {target}", soft_wrap=True, highlight=False)


def _bar(console: Console) -> Progress:
    columns = (BarColumn(), TextColumn("{task.fields[lines]} lines read"), TimeRemainingColumn())
    return Progress(*columns, console=console)
