"""A curve in a few lines of a terminal, drawn with the dots of Braille characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.text import Text

_BLANK: Final = 0x2800
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of the dot in each row, top to bottom, of the left and the right column of a character."""


def plot(values: Sequence[float], styles: Sequence[str], *, columns: int, lines: int) -> list[Text]:
    """A curve as lines of text, from the left.

    Args:
        values: in order; more than fit are drawn as the means of stretches.
        styles: of each value; a character has that of its last one.
        columns: characters of a line; each holds two values.
        lines: of the plot; each has four levels.
    """
    points = _fitted(list(zip(values, styles, strict=True)), 2 * columns)
    cells = [[_BLANK] * columns for _ in range(lines)]
    colours = [""] * columns
    levels = _levels([value for value, _ in points], 4 * lines)
    for place, level in enumerate(levels):
        before = levels[max(0, place - 1)]
        # The dots between two values make a curve of them.
        for dot in range(min(level, before + (level > before)), max(level, before - 1) + 1):
            row = 4 * lines - 1 - dot
            cells[row // 4][place // 2] |= _DOTS[row % 4][place % 2]
        colours[place // 2] = points[place][1]
    drawn = []
    for line in cells:
        text = Text()
        for code, style in zip(line, colours, strict=True):
            text.append(chr(code), style)
        drawn.append(text)
    return drawn


def _fitted(points: list[tuple[float, str]], most: int) -> list[tuple[float, str]]:
    """At most so many points: means of stretches, each with the style of its last point."""
    if len(points) <= most:
        return points
    edges = [round(i * len(points) / most) for i in range(most + 1)]
    stretches = [points[a:b] for a, b in pairwise(edges)]
    return [(sum(v for v, _ in part) / len(part), part[-1][1]) for part in stretches]


def _levels(values: Sequence[float], count: int) -> list[int]:
    """The level of each value between the least and the largest; halfway where all are the same."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high == low:
        return [count // 2] * len(values)
    return [round((v - low) / (high - low) * (count - 1)) for v in values]
