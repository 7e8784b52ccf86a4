"""The numbers the paper prints in its tables 1 and 2, and where its L-Acc is not its formula's.

``table1.tsv`` and ``table2.tsv`` hold the cells as printed: accuracy in per cent, length in tokens.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from services.paper_tables.table1 import Row

BENCHMARKS: Final = ("AIME24", "Minerva", "MATH", "GSM8K", "AMC", "OlympiadBench")
SIZES: Final = ("1.5B", "7B")
OURS: Final = "ours"
TOLERANCE: Final = 0.1
"""Points of L-Acc: inputs and result are printed with one decimal."""


@dataclass(frozen=True)
class PrintedRow:
    """One method on one benchmark, as printed."""

    size: str
    row: Row
    l_acc: float | None
    """The printed L-Acc; None where the paper has a dash."""


@dataclass(frozen=True)
class Slip:
    """A printed L-Acc that does not follow from the accuracy and the lengths printed beside it."""

    size: str
    method: str
    benchmark: str
    printed: float
    computed: float


@cache
def printed_table1() -> tuple[PrintedRow, ...]:
    """Return every cell of table 1 in the paper's order."""
    lines = _read("table1.tsv")
    # Each size has one base model, the distilled one, whose lengths are L_base.
    bases = {line["size"]: line for line in lines if line["model"].startswith("R1-Distill")}
    return tuple(
        _printed(line, benchmark, bases[line["size"]]) for line in lines for benchmark in BENCHMARKS
    )


def _printed(line: dict[str, str], benchmark: str, base: dict[str, str]) -> PrintedRow:
    printed = line[f"{benchmark} L-Acc"]
    row = Row(
        method=line["model"],
        benchmark=benchmark,
        accuracy=float(line[f"{benchmark} ACC"]),
        length=float(line[f"{benchmark} LEN"]),
        base_length=None if printed == "-" else float(base[f"{benchmark} LEN"]),
    )
    return PrintedRow(line["size"], row, None if printed == "-" else float(printed))


@cache
def printed_table2() -> tuple[dict[str, str], ...]:
    """Return the lines of table 2: ``ablation``, ``variant``, then ACC and LEN by benchmark."""
    return tuple(_read("table2.tsv"))


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def slips() -> list[Slip]:
    """Return the printed L-Acc cells that are off by more than rounding explains."""
    return [
        Slip(p.size, p.row.method, p.row.benchmark, p.l_acc, p.row.l_acc)
        for p in printed_table1()
        if p.l_acc is not None and p.row.l_acc is not None
        if abs(p.row.l_acc - p.l_acc) > TOLERANCE
    ]


@dataclass(frozen=True)
class Headline:
    """What the paper's own table says about "20 % of the length, accuracy kept"."""

    size: str
    length_ratio: float
    """Mean over the benchmarks of length / base length, a share."""
    accuracy_before: float
    """Mean over the benchmarks, per cent."""
    accuracy_after: float


def headlines() -> list[Headline]:
    """Return the means of the base model and of the paper's method for both sizes."""
    return [_headline(size) for size in SIZES]


def _headline(size: str) -> Headline:
    def of(method: str) -> Sequence[Row]:
        return [p.row for p in printed_table1() if p.size == size and p.row.method == method]

    base, ours = of(f"R1-Distill-Qwen2.5-{size}"), of(OURS)
    return Headline(
        size=size,
        length_ratio=statistics.fmean(o.length / b.length for o, b in zip(ours, base, strict=True)),
        accuracy_before=statistics.fmean(r.accuracy for r in base),
        accuracy_after=statistics.fmean(r.accuracy for r in ours),
    )
