"""The query behind a page of jobs: it costs what the page holds, not what the table holds.

Every part of the filter but the stage is led by an index, in the order of ``seq``, so SQLite reads
the rows of the page and stops.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from services.stores.lifecycle import JobState
from services.stores.listing import JobFilter


def page(
    db: sqlite3.Connection,
    limit: int,
    before: int,
    states: Collection[JobState] | None,
    where: JobFilter,
) -> list[sqlite3.Row]:
    """Rows of at most ``limit`` jobs with ``seq`` below ``before``, newest first."""
    source, conditions, values = _conditions(before, where)
    if states is None:
        return _query(db, _select(source, conditions), [*values, limit])
    # One index range for each state, merged: a list of states in one condition would be a scan.
    each = _select(source, [*conditions, "j.state = ?"])
    wanted = sorted(set(states))
    if not wanted:
        return []
    union = " UNION ALL ".join(f"SELECT * FROM ({each})" for _ in wanted)
    bound = [v for state in wanted for v in (*values, state, limit)]
    return _query(db, f"SELECT * FROM ({union}) ORDER BY seq DESC LIMIT ?", [*bound, limit])


def _conditions(before: int, where: JobFilter) -> tuple[str, list[str], list[Any]]:
    """The tables to read, what their rows must meet, and the values of that."""
    # Times of creation rise with seq, so a time is a place in the order. There is one upper bound,
    # because SQLite starts from one only and would walk to the other.
    below = "?"
    bounds: list[Any] = [before]
    if where.created_before is not None:
        below = (
            "min(?, coalesce((SELECT seq + 1 FROM jobs WHERE created_at < ?"
            " ORDER BY created_at DESC, seq DESC LIMIT 1), 0))"
        )
        bounds = [before, where.created_before]
    source, conditions = "jobs j", [f"j.seq < {below}"]
    values: list[Any] = bounds
    labels = list(where.labels.items())
    if labels:
        # The label's own index leads, in the order of the jobs.
        source = "job_labels l CROSS JOIN jobs j ON j.seq = l.seq"
        conditions = ["l.key = ?", "l.value = ?", f"l.seq < {below}"]
        values = [*labels[0], *bounds]
    for key, value in labels[1:]:
        conditions.append(
            "EXISTS (SELECT 1 FROM job_labels o WHERE o.key = ? AND o.value = ? AND o.seq = j.seq)"
        )
        values += [key, value]
    for column, wanted in (("kind", where.kind), ("tenant", where.tenant), ("name", where.name)):
        if wanted is not None:
            conditions.append(f"j.{column} = ?")
            values.append(wanted)
    if where.created_after is not None:
        conditions.append(
            "j.seq >= (SELECT seq FROM jobs WHERE created_at >= ? ORDER BY created_at, seq LIMIT 1)"
        )
        values.append(where.created_after)
    if where.stage is not None:
        label = "json_extract(j.progress, '$.stage')"
        # From the second cycle on, the label of a stage has the cycle's number behind a dot.
        conditions.append(f"({label} = ? OR substr({label}, 1, length(?) + 1) = ? || '.')")
        values += [where.stage] * 3
    return source, conditions, values


def _select(source: str, conditions: list[str]) -> str:
    order = "l.seq" if source.startswith("job_labels") else "j.seq"
    return (
        f"SELECT j.* FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?"
    )


def _query(db: sqlite3.Connection, query: str, values: list[Any]) -> list[sqlite3.Row]:
    return db.execute(query, values).fetchall()
