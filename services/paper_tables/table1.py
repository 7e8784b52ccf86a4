"""Table 1: accuracy, length and L-Acc of methods on benchmarks, in the paper's form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from algorithms.metrics import l_acc


@dataclass(frozen=True)
class Row:
    """One method on one benchmark."""

    method: str
    benchmark: str
    accuracy: float
    """Per cent."""
    length: float
    """Mean response length, in tokens."""
    base_length: float | None
    """Of the model the method started from, on the same benchmark; None for one that is not
    compressed (a base or an instruct model), which has no L-Acc."""
    accuracy_interval: tuple[float, float] | None = None
    """Per cent; None where it is not known, as in the paper."""
    length_interval: tuple[float, float] | None = None

    @property
    def l_acc(self) -> float | None:
        """``Acc * sqrt(1 - L / L_base)`` in per cent (E11); 0 where the responses grew."""
        if self.base_length is None:
            return None
        return l_acc(self.accuracy, self.length, self.base_length).value


def table1(rows: Sequence[Row]) -> str:
    """Return the table as Markdown: a line for each method, three columns for each benchmark.

    Methods and benchmarks stand in the order in which they come first; ``–`` for what is missing.

    Raises:
        ValueError: a method has two rows for one benchmark.
    """
    cells = {(r.method, r.benchmark): r for r in rows}
    if len(cells) < len(rows):
        raise ValueError("a method has two rows for one benchmark; give one of them another name")
    methods = list(dict.fromkeys(r.method for r in rows))
    benchmarks = list(dict.fromkeys(r.benchmark for r in rows))
    head = "| | " + " | ".join(f"{b} ACC | LEN | L-Acc" for b in benchmarks) + " |"
    lines = [head, "|---|" + "--:|--:|--:|" * len(benchmarks)]
    for method in methods:
        entries = (_entries(cells.get((method, b))) for b in benchmarks)
        lines.append(f"| {method} | " + " | ".join(entries) + " |")
    return "\n".join(lines)


def _entries(row: Row | None) -> str:
    if row is None:
        return "– | – | –"
    discounted = "–" if row.l_acc is None else f"{row.l_acc:.1f}"
    accuracy = f"{row.accuracy:.1f}" + _interval(row.accuracy_interval, 1)
    return f"{accuracy} | {row.length:.0f}{_interval(row.length_interval, 0)} | {discounted}"


def _interval(ends: tuple[float, float] | None, digits: int) -> str:
    return "" if ends is None else f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"
