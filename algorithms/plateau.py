"""The slope of a smoothed series: what tells a plateau from a trend."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression, median


def smoothed_slope(
    points: Sequence[tuple[int, float]], smoothing: int, window: int
) -> float | None:
    """Return the least-squares slope of the running median of ``(step, value)`` points.

    Each run of ``smoothing`` neighbouring points becomes the point of their median step and median
    value, and the line is fitted to the newest ``window`` of those. The slope of a straight line is
    its own, also where steps are missing.

    Args:
        points: by rising step.
        smoothing: odd.

    Returns:
        The slope in the unit of the values per step; None with too few points.
    """
    needed = window + smoothing - 1
    if len(points) < needed:
        return None
    newest = points[-needed:]
    runs = [newest[i : i + smoothing] for i in range(window)]
    steps = [float(median(step for step, _ in run)) for run in runs]
    values = [median(value for _, value in run) for run in runs]
    return linear_regression(steps, values).slope
