"""Fewer points of a curve that still look like it."""

from __future__ import annotations

from collections.abc import Sequence


def largest_triangles(x: Sequence[float], y: Sequence[float], points: int) -> list[int]:
    """Return the indices of the points to keep, in order: first, last, and of each bucket between
    the one that spans the largest triangle with the point kept before and the mean of the bucket
    behind (LTTB; Steinarsson 2013, section 4.2). A lone
    peak stays, which means would flatten; of several in one bucket only one does.

    Args:
        x: rising.
        y: as long as ``x``.
        points: how many to keep at most, at least 3; all are kept where there are no more.
    """
    n = len(x)
    if points < 3:
        raise ValueError(f"points must be at least 3, not {points}")
    if n <= points:
        return list(range(n))
    width = (n - 2) / (points - 2)
    edges = [1 + int(i * width) for i in range(points - 2)] + [n - 1, n]
    kept = [0]
    for bucket in range(points - 2):
        start, stop, after = edges[bucket], edges[bucket + 1], edges[bucket + 2]
        mean_x = sum(x[stop:after]) / (after - stop)
        mean_y = sum(y[stop:after]) / (after - stop)
        at = kept[-1]

        def area(i: int, at: int = at, mx: float = mean_x, my: float = mean_y) -> float:
            """Twice the triangle's."""
            return abs((x[at] - mx) * (y[i] - y[at]) - (x[at] - x[i]) * (my - y[at]))

        kept.append(max(range(start, stop), key=area))
    return [*kept, n - 1]
