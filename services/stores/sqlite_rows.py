"""Rows of the SQLite job store: read behind the fence, turned into records, events added."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from services.spec.kind import read_spec
from services.stores.encoding import origin_of, plain, to_json
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.protocol import (
    STATE_LEVELS,
    ChangedMeanwhile,
    Command,
    EventLevel,
    EventRecord,
    JobNotFound,
    JobRecord,
    StaleAttempt,
)

_INNER = ("seq", "journal_attempt", "journal_number")
"""Columns of a job that are the store's own."""


def job_row(
    db: sqlite3.Connection,
    job_id: str,
    attempt: int | None = None,
    *,
    alive: bool = False,
    expect: int | None = None,
) -> sqlite3.Row:
    """The job's row, after the fence: ``alive`` also refuses a job that has ended, ``expect`` one
    at another revision.

    Raises:
        JobNotFound, StaleAttempt, ChangedMeanwhile: as the store's methods do.
    """
    row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    assert isinstance(row, sqlite3.Row)
    if attempt is not None and (
        attempt != row["attempt"] or (alive and row["state"] not in ACTIVE)
    ):
        raise StaleAttempt(job_id, attempt, row["attempt"], row["state"])
    if expect is not None and expect != row["revision"]:
        raise ChangedMeanwhile(job_id, expect, row["revision"])
    return row


def job_record(row: sqlite3.Row) -> JobRecord:
    """The record of a row of ``jobs``."""
    values = {key: row[key] for key in row.keys() if key not in _INNER}  # noqa: SIM118
    progress = values["progress"]
    return JobRecord(
        **{
            **values,
            "spec": read_spec(values["kind"], values["spec"]),
            "progress": None if progress is None else json.loads(progress),
            "labels": json.loads(values["labels"]),
            "forked_from": origin_of(values["forked_from"]),
        }
    )


def event_record(row: sqlite3.Row) -> EventRecord:
    """The record of a row of ``events``."""
    values = {key: row[key] for key in row.keys() if key != "job_id"}  # noqa: SIM118
    return EventRecord(**{**values, "data": json.loads(values["data"])})


def command_record(row: sqlite3.Row) -> Command:
    """The record of a row of ``commands``."""
    data = json.loads(row["data"])
    return Command(row["id"], row["kind"], data, row["author"], row["reason"])


def add_event(
    db: sqlite3.Connection,
    job_id: str,
    type: str,
    message: str,
    *,
    level: EventLevel = "info",
    data: Mapping[str, Any] | None = None,
    attempt: int | None = None,
    author: str | None = None,
    reason: str | None = None,
    at: float | None = None,
) -> int:
    """Add a line to the job's log with the next id, which is returned."""
    last = db.execute("SELECT MAX(id) FROM events WHERE job_id = ?", (job_id,)).fetchone()[0]
    event_id: int = (last or 0) + 1
    db.execute(
        "INSERT INTO events (job_id, id, time, type, message, level, attempt, data, author, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(job_id, event_id, time.time() if at is None else at),
            *(type, plain(message), level, attempt),
            *(to_json(data), plain(author), plain(reason)),
        ),
    )
    return event_id


def add_state_event(
    db: sqlite3.Connection,
    row: sqlite3.Row,
    new: JobState,
    *,
    cause: str | None,
    attempt: int,
    author: str | None,
    reason: str | None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Log that the job of ``row`` goes from the row's state to ``new``, with more ``data``."""
    add_event(
        db,
        row["id"],
        "state",
        new + (f": {cause}" if cause else ""),
        level=STATE_LEVELS.get(new, "info"),
        data={"from": row["state"], "to": new, "cause": cause, **(data or {})},
        attempt=attempt,
        author=author,
        reason=reason,
    )
