"""Two evaluated models side by side, as a page, as data and as plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from algorithms.bootstrap import PairedDifference
from services.analysis.response_plots import transition_figure
from services.analysis.transition_groups import Group
from services.atomic_write import write_whole
from services.evaluation_reports.paired import Pair, pair
from services.evaluation_reports.result import Result, ResultError, refuse_unlike


def write_pairs(before: Result, after: Result, out: Path) -> Path:
    """Write ``comparison.md``, ``comparison.json`` and a plot of each benchmark; return the page.

    Raises:
        ResultError: they have no benchmark in common, bear one name, or cannot be compared.
    """
    if before.name == after.name:
        raise ResultError(
            f"both are called {before.name!r}; give one another name with NAME=FOLDER"
        )
    both = [b for b in before.benchmarks if b in after.benchmarks]
    if not both:
        raise ResultError(
            f"{before.name} and {after.name} have no benchmark in common "
            f"({', '.join(before.benchmarks)}; {', '.join(after.benchmarks)})"
        )
    for benchmark in both:
        refuse_unlike([before, after], benchmark)
    pairs = [_pair(before, after, b) for b in both]
    names = (before.name, after.name)
    for found in pairs:
        figure = transition_figure(found.transitions, before=names[0], by="")
        out.mkdir(parents=True, exist_ok=True)
        figure.savefig(out / _plot(found.benchmark), dpi=110, facecolor="white")
    write_whole(
        out / "comparison.json",
        json.dumps(
            {
                "before": {"name": names[0], "model": before.content["model"]},
                "after": {"name": names[1], "model": after.content["model"]},
                "benchmarks": {p.benchmark: p.as_json() for p in pairs},
            },
            indent=1,
        ),
    )
    page = out / "comparison.md"
    write_whole(page, comparison_page(names, pairs))
    return page


def _pair(before: Result, after: Result, benchmark: str) -> Pair:
    return pair(
        benchmark,
        before.responses(benchmark),
        after.responses(benchmark),
        names=(before.name, after.name),
        length=before.benchmarks[benchmark]["length"],
        seed=int(before.content["seed"]),
    )


def comparison_page(names: tuple[str, str], pairs: Sequence[Pair]) -> str:
    """Return the comparison as Markdown."""
    return (
        "\n\n".join(
            [
                f"# {names[1]} against {names[0]}",
                _differences(names, pairs),
                f"Change: {names[1]} minus {names[0]} on the same questions, mean with its 95 % "
                "interval and two-sided p, by a paired bootstrap over questions. Accuracy is avg@k "
                f"in per cent, length is in tokens, L-Acc takes {names[0]} for the base.",
                "## What became of the answers",
                _transitions(pairs),
                "An answer is a question's first response, or with several the majority of those "
                "that have a verdict. p: McNemar's exact test that answers are lost and gained at "
                "equal rates.",
                *(f"![{p.benchmark}]({_plot(p.benchmark)})" for p in pairs),
            ]
        )
        + "\n"
    )


def _differences(names: tuple[str, str], pairs: Sequence[Pair]) -> str:
    first, second = names
    lines = [
        f"| | questions | ACC {first} | ACC {second} | change | LEN {first} | LEN {second} | "
        "change | of it | L-Acc |",
        "|---|" + "--:|" * 9,
    ]
    for p in pairs:
        cells = [
            p.benchmark,
            str(p.questions),
            *(_percent(a) for a in p.accuracy),
            _change(p.accuracy_change, 100, 1),
            *(f"{length:.1f}" for length in p.length),
            _change(p.length_change, 1, 1),
            f"{100 * p.length[1] / p.length[0]:.1f} %",
            _percent(p.l_acc),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _transitions(pairs: Sequence[Pair]) -> str:
    groups: tuple[Group, ...] = get_args(Group)
    lines = ["| | answer | " + " | ".join(groups) + " | p |", "|---|---|" + "--:|" * 5]
    for p in pairs:
        counts = " | ".join(str(p.transitions.counts[g]) for g in groups)
        found = p.transitions
        lines.append(f"| {p.benchmark} | {found.answer} | {counts} | {found.mcnemar_p:.2g} |")
    return "\n".join(lines)


def _change(found: PairedDifference | None, scale: float, digits: int) -> str:
    if found is None:
        return "–"
    mean, low, high = (scale * v for v in (found.mean, found.low, found.high))
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}), p = {found.p:.2g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _plot(benchmark: str) -> str:
    return f"transitions-{benchmark}.png"
