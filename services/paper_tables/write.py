"""Writes runs side by side: tables 1 and 2, and figures 3b and 3c."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.paper_tables.run_plots import runs_figure
from services.paper_tables.runs import Run
from services.paper_tables.table1 import table1
from services.paper_tables.table2 import table2


def write_comparison(runs: Sequence[Run], out: Path) -> Path:
    """Write ``runs.md`` and ``runs.png`` into ``out``; return the page.

    Raises:
        ValueError: there are no runs, two have one name, or their held-out questions differ.
    """
    names = [run.name for run in runs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            f"runs need names of their own, {sorted(twice)} stands twice; use NAME=FILE"
        )
    ablations = table2(runs)
    # The runs start from one model: its row stands once.
    rows = runs[0].table1_rows()
    rows += [row for run in runs[1:] for row in run.table1_rows() if row.method == run.name]
    out.mkdir(parents=True, exist_ok=True)
    page = out / "runs.md"
    page.write_text(
        "# Runs side by side\n\n"
        f"{table1(rows)}\n\n"
        "Accuracy in per cent, mean length in tokens, L-Acc = Acc sqrt(1 - L / L_base).\n\n"
        f"{ablations}\n\nIntervals are 95 % Wilson intervals.\n\n![Runs](runs.png)\n",
        encoding="utf-8",
    )
    runs_figure(runs).savefig(out / "runs.png", dpi=160, facecolor="white")
    return page
