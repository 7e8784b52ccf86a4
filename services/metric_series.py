"""Step records as curves and as tables."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from algorithms.downsample import largest_triangles
from algorithms.strict import Strict

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A text that opens so is a formula to a spreadsheet."""

Records = Callable[[], Iterable[Mapping[str, Any]]]


class Curve(Strict):
    """One figure of one job over its steps."""

    step: list[int]
    value: list[float]


def value_at(record: Mapping[str, Any], path: str) -> Any:
    """The figure at a path of names joined by dots, ``seconds.generate``; None where there is
    none."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def curves(
    records: Iterable[Mapping[str, Any]], paths: Collection[str], points: int
) -> dict[str, Curve]:
    """Figures by their path, each over the steps that have it and with at most so many points. The
    records are gone through once; of each only these figures are kept."""
    found: dict[str, tuple[array[int], array[float]]] = {
        path: (array("q"), array("d")) for path in paths
    }
    for record in records:
        for path, (steps, values) in found.items():
            value = value_at(record, path)
            if isinstance(value, int | float) and not isinstance(value, bool):
                steps.append(int(record["step"]))
                values.append(float(value))
    return {path: _thinned(*figure, points) for path, figure in found.items()}


def _thinned(steps: array[int], values: array[float], points: int) -> Curve:
    kept = largest_triangles(steps, values, points)
    return Curve(step=[steps[i] for i in kept], value=[values[i] for i in kept])


def csv_lines(records: Records) -> Iterator[str]:
    """A line for each record behind a line of names. The records are gone through twice, so that
    every name is known before the first line; nothing is held."""
    names: dict[str, None] = {"step": None}
    for record in records():
        names |= dict.fromkeys(name for name, _ in _leaves(record))
    yield _line(list(names))
    for record in records():
        leaves = dict(_leaves(record))
        yield _line([_cell(leaves.get(name)) for name in names])


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure with its path; lists are left out, they are no column."""
    for name, value in record.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, path + ".")
        elif not isinstance(value, list):
            yield path, value


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()
