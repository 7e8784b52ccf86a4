"""Keeping a SQLite job store within its bounds, and its leases."""

from __future__ import annotations

import sqlite3
import time

from services.stores.lifecycle import ENDED


def trim(db: sqlite3.Connection, job_id: str, events: int | None, metrics: int | None) -> None:
    """Drop all but the newest events, of which one always stays, and step records."""
    if events is not None:
        last = db.execute("SELECT MAX(id) FROM events WHERE job_id = ?", (job_id,)).fetchone()[0]
        db.execute(
            "DELETE FROM events WHERE job_id = ? AND id <= ?", (job_id, last - max(events, 1))
        )
    if metrics is not None:
        db.execute(
            "DELETE FROM metrics WHERE job_id = ? AND step NOT IN"
            " (SELECT step FROM metrics WHERE job_id = ? ORDER BY step DESC LIMIT ?)",
            (job_id, job_id, metrics),
        )


def remove_ended(db: sqlite3.Connection, before: float, limit: int) -> list[str]:
    """Remove jobs that ended before a time with all their rows; return their ids."""
    marks = ",".join("?" * len(ENDED))
    found = db.execute(
        f"SELECT id, seq FROM jobs WHERE finished_at < ? AND state IN ({marks})"
        " ORDER BY finished_at, seq LIMIT ?",
        (before, *ENDED, limit),
    ).fetchall()
    for row in found:
        for table in ("events", "metrics", "commands"):
            db.execute(f"DELETE FROM {table} WHERE job_id = ?", (row["id"],))
        db.execute("DELETE FROM job_labels WHERE seq = ?", (row["seq"],))
        db.execute("DELETE FROM jobs WHERE id = ?", (row["id"],))
    return [row["id"] for row in found]


def hold(db: sqlite3.Connection, name: str, owner: str, seconds: float) -> bool:
    """Take or renew a lease; whether it is the owner's now."""
    now = time.time()
    done = db.execute(
        "INSERT INTO leases (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET owner = excluded.owner, until = excluded.until"
        " WHERE leases.owner = excluded.owner OR leases.until <= ?",
        (name, owner, now + seconds, now),
    )
    return done.rowcount == 1


def release(db: sqlite3.Connection, name: str, owner: str) -> None:
    """Give a lease back."""
    db.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))
