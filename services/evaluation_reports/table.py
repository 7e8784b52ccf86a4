"""Table 1 of the paper for any set of evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.evaluation_reports.result import Result, ResultError, refuse_unlike
from services.paper_tables.table1 import Row, table1


def evaluation_rows(results: Sequence[Result], bases: Sequence[str]) -> list[Row]:
    """Return every model on every benchmark.

    L-Acc measures a model against the base of its own size, on the same benchmark: the base whose
    number of parameters is the same. (The paper's 7B OlympiadBench cells have the length of the
    1.5B base; docs/paper-tables.md.) A base itself has none, and neither has a model without one.

    Args:
        results: in the order of the table.
        bases: names of those that others were made from; none takes the first of each size.

    Raises:
        ResultError: two results have one name, a base is none of them, two bases have one size, or
            results on one benchmark cannot stand in one column.
    """
    names = [r.name for r in results]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ResultError(f"{twice[0]!r} stands twice; give one a name of its own with NAME=FOLDER")
    by_size = _bases(results, bases)
    for benchmark in dict.fromkeys(b for r in results for b in r.benchmarks):
        refuse_unlike(list(results), benchmark)
    return [
        _row(result, benchmark, figures, by_size.get(result.parameters))
        for result in results
        for benchmark, figures in result.benchmarks.items()
        if figures["accuracy"] is not None
    ]


def table_page(results: Sequence[Result], bases: Sequence[str] = ()) -> str:
    """Return the table as Markdown, with what its figures are.

    Raises:
        ResultError: see :func:`evaluation_rows`.
    """
    rows = evaluation_rows(results, bases)
    notes = [
        "Accuracy in per cent (avg@k), mean length in tokens, each with its 95 % interval; "
        "L-Acc = Acc sqrt(1 - L / L_base) with the base of the same size on the same benchmark.",
        *(_how(r) for r in results),
    ]
    return table1(rows) + "\n\n" + "\n".join(f"* {note}" for note in notes) + "\n"


def _bases(results: Sequence[Result], names: Sequence[str]) -> dict[int, Result]:
    by_name = {r.name: r for r in results}
    if missing := [n for n in names if n not in by_name]:
        raise ResultError(
            f"no result is called {missing[0]!r}; --base takes one of {', '.join(by_name)}"
        )
    chosen: dict[int, Result] = {}
    for result in [by_name[n] for n in names] if names else results:
        other = chosen.setdefault(result.parameters, result)
        if names and other is not result:
            raise ResultError(
                f"{other.name} and {result.name} are of one size ({result.parameters:,} "
                "parameters); name one base for each size"
            )
    return chosen


def _row(result: Result, benchmark: str, figures: Any, base: Result | None) -> Row:
    reference = None
    if base is not None and base is not result and benchmark in base.benchmarks:
        reference = base.benchmarks[benchmark]["length_mean"]
    low, high = figures["accuracy_ci95"]
    short, long = figures["length_ci95"]
    return Row(
        method=result.name,
        benchmark=benchmark,
        accuracy=100 * figures["accuracy"],
        length=figures["length_mean"],
        base_length=reference,
        accuracy_interval=(100 * low, 100 * high),
        length_interval=(short, long),
    )


def _how(result: Result) -> str:
    sampling, model = result.content["sampling"], result.content["model"]
    samples = sorted({f["samples"] for f in result.benchmarks.values()})
    lengths = sorted({f["length"] for f in result.benchmarks.values()})
    unverified = sum(f["unverified"] for f in result.benchmarks.values())
    text = (
        f"{result.name}: {model['parameters']:,} parameters, sha256 {model['sha256'][:12]}; k = "
        f"{', '.join(map(str, samples))}, temperature {sampling['temperature']:g}, top_p "
        f"{sampling['top_p']:g}, at most {sampling['max_tokens']} tokens, seed "
        f"{result.content['seed']}; policy {result.policy}, length in {', '.join(lengths)}"
    )
    if unverified:
        text += f"; {unverified} responses without a verdict, left out of the accuracy"
    if result.policy == "thinkless-parity":
        text += "; this grading is lenient and its accuracies are inflated"
    return text
