"""Table 2: ablations of stage order, length clip and shaping, from the reports of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from services.paper_tables.runs import Run, RunEvaluation

Varied = Literal["order", "length_clip", "shaping"]

_BLOCKS: Final[dict[Varied, str]] = {
    "order": "Stage order",
    "length_clip": "Length clip",
    "shaping": "Reward function",
}


def table2(runs: Sequence[Run]) -> str:
    """Return the table as Markdown; the first run is the reference the others vary.

    A run that differs from it in one setting stands in that setting's block, any other under
    "Other". Accuracy in per cent with its 95 % Wilson interval, length in tokens and relative to
    the base. Runs with another order of stages show every stage, as the paper does.

    Raises:
        ValueError: there are no runs, or they were evaluated on different questions.
    """
    if not runs:
        raise ValueError("table 2 needs at least one run")
    if len({run.benchmark for run in runs}) > 1:
        raise ValueError(
            "table 2 compares runs on the same held-out questions, got "
            + ", ".join(sorted({run.benchmark for run in runs}))
        )
    reference, *others = runs
    lines = [f"| {reference.benchmark} | ACC | LEN | of base |", "|---|--:|--:|--:|"]
    if reference.base:
        lines.append(_line("Base", reference.base, reference))
    for setting, title in _BLOCKS.items():
        varied = [run for run in others if _differences(run, reference) == [setting]]
        if varied:
            lines.append(f"| **{title}** | | | |")
            lines += [line for run in varied for line in _lines(run, setting)]
            lines += _lines(reference, setting, " (reference)")[-1:]
    rest = [run for run in others if len(_differences(run, reference)) != 1]
    if rest or not others:
        lines.append("| **Other** | | | |")
        lines += [_line(r.name, r.after[-1], r) for r in (*rest, reference) if r.after]
    return "\n".join(lines)


def _differences(run: Run, reference: Run) -> list[Varied]:
    return [setting for setting in _BLOCKS if getattr(run, setting) != getattr(reference, setting)]


def _lines(run: Run, setting: Varied, remark: str = "") -> list[str]:
    if setting == "order":
        order = " → ".join(run.order)
        return [_line(f"{order}, after {e.label}{remark}", e, run) for e in run.after]
    value = f"L = {run.length_clip}" if setting == "length_clip" else run.shaping
    return [_line(f"{value}{remark}", e, run) for e in run.after[-1:]]


def _line(name: str, evaluation: RunEvaluation, run: Run) -> str:
    low, high = (100 * bound for bound in evaluation.interval)
    accuracy = (
        "–"
        if evaluation.accuracy is None
        else f"{100 * evaluation.accuracy:.1f} ({low:.1f} to {high:.1f})"
    )
    ratio = f"{100 * evaluation.length / run.base.length:.1f} %" if run.base else "–"
    return f"| {name} | {accuracy} | {evaluation.length:.1f} | {ratio} |"
