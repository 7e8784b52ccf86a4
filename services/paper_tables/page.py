"""``docs/paper-tables.md``: the paper's tables made again from the numbers it prints."""

from __future__ import annotations

from services.paper_tables.paper_values import (
    SIZES,
    TOLERANCE,
    headlines,
    printed_table1,
    printed_table2,
    slips,
)
from services.paper_tables.table1 import table1

_OPENING = f"""# The paper's tables, made again

`python -m services.paper_tables` writes this page from `services/paper_tables/table1.tsv` and
`table2.tsv`, which hold the numbers that *Entropy-Guided Reasoning Compression* prints. Nothing on
this page was measured with Laconic.

Accuracy in per cent, length in tokens. L-Acc is computed here, by
`Acc * sqrt(1 - L / L_base)` (E11), with L_base of the distilled model of the same size. Every other
cell is as printed. All printed L-Acc agree to {TOLERANCE:g} but those listed below."""

_SLIPS = """## Where the printed L-Acc is not the formula's

| size | method | benchmark | printed | from the printed accuracy and lengths |
|---|---|---|--:|--:|"""

_REASON = """\
The OlympiadBench cells follow from the base length of the 1.5B model (11236), where that of the 7B
model is 9031: four of them to 0.1, `ours` to 0.2 (it would be 48.7). The AMC cell has no such
explanation.

Two more remarks on table 1: 1.5B AIME24 has `ours` in bold for the best L-Acc (32.5) where Laser is
printed with 32.7; and the text speaks of 20 % of the length with accuracy kept or better, where the
means over the six benchmarks are these:

| size | mean length / base length | mean accuracy of the base | after compression |
|---|--:|--:|--:|"""

_TABLE2 = """## Table 2: ablations of the 1.5B model, as printed

`laconic compare` makes this table from the reports of runs."""


def paper_tables_page() -> str:
    """Return the whole page."""
    parts = [_OPENING]
    for size in SIZES:
        rows = [p.row for p in printed_table1() if p.size == size]
        parts.append(f"## Table 1, {size}\n\n{table1(rows)}")
    parts.append("\n".join([_SLIPS, *_slip_lines()]))
    parts.append("\n".join([_REASON, *_headline_lines()]))
    parts += [_TABLE2, _table2()]
    return "\n\n".join(parts) + "\n"


def _slip_lines() -> list[str]:
    return [
        f"| {s.size} | {s.method} | {s.benchmark} | {s.printed:.1f} | {s.computed:.1f} |"
        for s in slips()
    ]


def _headline_lines() -> list[str]:
    return [
        f"| {h.size} | {100 * h.length_ratio:.1f} % | {h.accuracy_before:.2f} | "
        f"{h.accuracy_after:.2f} |"
        for h in headlines()
    ]


def _table2() -> str:
    lines = printed_table2()
    head = list(lines[0])
    numbers = len(head) - 2
    return "\n".join(
        [
            "| " + " | ".join(head) + " |",
            "|---|---|" + "--:|" * numbers,
            *("| " + " | ".join(line.values()) + " |" for line in lines),
        ]
    )
