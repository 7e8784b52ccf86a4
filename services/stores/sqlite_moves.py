"""How a job of a SQLite store moves through its life: each function within one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Mapping
from typing import Any

from services.stores.encoding import command_message, plain, to_json
from services.stores.journal_mark import JournalMark
from services.stores.lifecycle import (
    ACTIVE,
    COMMANDS,
    RESUMABLE,
    CommandKind,
    JobState,
    after_command,
    allowed,
    is_legal,
    seen,
    settled,
)
from services.stores.protocol import Command, IllegalTransition, JobRecord
from services.stores.sqlite_rows import (
    add_event,
    add_state_event,
    command_record,
    job_record,
    job_row,
)


def begin_attempt(
    db: sqlite3.Connection,
    job_id: str,
    *,
    expect: int | None,
    from_step: int | None,
    author: str | None,
    reason: str | None,
) -> JobRecord:
    """Put a job that has stopped back into the queue, under a new attempt."""
    row = job_row(db, job_id, expect=expect)
    if row["state"] not in RESUMABLE:
        raise IllegalTransition(job_id, row["state"], "resume", allowed(row["state"]))
    attempt = row["attempt"] + 1
    db.execute(
        "UPDATE jobs SET state = 'queued', cause = NULL, attempt = ?, updated_at = ?,"
        " started_at = NULL, finished_at = NULL, heartbeat_at = NULL, progress = NULL,"
        " ray_submission_id = NULL, cancel_requested_at = NULL,"
        " cancel_grace_seconds = NULL, revision = revision + 1 WHERE id = ?",
        (attempt, time.time(), job_id),
    )
    # What a driver of an earlier version took is done with: it never says so.
    db.execute(
        "DELETE FROM commands WHERE job_id = ?"
        " AND (kind != 'stage' OR (taken_by IS NOT NULL AND NOT unsettled))",
        (job_id,),
    )
    db.execute("UPDATE commands SET taken_by = NULL, unsettled = 0 WHERE job_id = ?", (job_id,))
    data = {} if from_step is None else {"from_step": from_step}
    said = {"author": author, "reason": reason}
    add_state_event(db, row, "queued", cause=None, attempt=attempt, data=data, **said)
    return job_record(job_row(db, job_id))


def set_state(
    db: sqlite3.Connection,
    job_id: str,
    state: JobState,
    *,
    attempt: int | None,
    cause: str | None,
    expect: int | None,
    author: str | None,
    reason: str | None,
) -> JobRecord:
    """Move a job and log it."""
    row = job_row(db, job_id, attempt, expect=expect)
    current: JobState = row["state"]
    target = settled(state, cancelling=row["cancel_requested_at"] is not None)
    if target == current:
        return job_record(row)
    if target == "queued" or not is_legal(current, target, row["held"]):
        raise IllegalTransition(job_id, current, f"become {state}", allowed(current, row["held"]))
    text = plain(cause) if target == state else "cancelled on request"
    now = time.time()
    left_queue = current == "queued" and target in ACTIVE
    db.execute(
        "UPDATE jobs SET state = ?, held = ?, cause = ?, updated_at = ?, started_at = ?,"
        " finished_at = ?, revision = revision + 1 WHERE id = ?",
        (
            *(target, current if target == "reconciling" else None, text, now),
            now if left_queue else row["started_at"],
            None if target in ACTIVE else now,
            job_id,
        ),
    )
    add_state_event(
        db,
        row,
        target,
        cause=text,
        attempt=row["attempt"],
        author=author,
        reason=reason,
    )
    return job_record(job_row(db, job_id))


def send_command(
    db: sqlite3.Connection,
    job_id: str,
    kind: CommandKind,
    data: Mapping[str, Any],
    *,
    expect: int | None,
    author: str | None,
    reason: str | None,
) -> int:
    """Leave a command, log it, and show that the job pauses or stops."""
    row = job_row(db, job_id, expect=expect)
    state, now = row["state"], seen(row["state"], row["held"])
    if now not in COMMANDS[kind]:
        raise IllegalTransition(
            job_id, state, f"take the command {kind}", allowed(state, row["held"])
        )
    command = db.execute(
        "INSERT INTO commands (job_id, kind, data, author, reason) VALUES (?, ?, ?, ?, ?)",
        (job_id, kind, to_json(data), plain(author), plain(reason)),
    ).lastrowid
    assert command is not None
    add_event(
        db,
        job_id,
        "command",
        command_message(kind, data),
        data={"kind": kind, **data},
        author=author,
        reason=reason,
    )
    if kind == "cancel":
        _note_cancel(db, job_id, data.get("grace_seconds"))
    # Of a job that cannot be observed, what it is seen as later changes.
    column = "held" if state == "reconciling" else "state"
    new = after_command(kind, now)
    db.execute(
        f"UPDATE jobs SET {column} = ?, updated_at = ?, revision = revision + 1 WHERE id = ?",
        (new, time.time(), job_id),
    )
    if column == "state" and new != state:
        add_state_event(
            db,
            row,
            new,
            cause=None,
            attempt=row["attempt"],
            author=author,
            reason=reason,
        )
    return command


def _note_cancel(db: sqlite3.Connection, job_id: str, grace_seconds: float | None) -> None:
    """Note when a job was first asked to cancel, and the latest word on how long it may take."""
    db.execute(
        "UPDATE jobs SET cancel_requested_at = IFNULL(cancel_requested_at, ?),"
        " cancel_grace_seconds = IFNULL(?, cancel_grace_seconds) WHERE id = ?",
        (time.time(), grace_seconds, job_id),
    )


def take_commands(
    db: sqlite3.Connection, job_id: str, attempt: int, after: int | None
) -> list[Command]:
    """Hand out what waits, and with ``after`` again what was handed out above that id."""
    rows = db.execute(
        "SELECT * FROM commands WHERE job_id = ? AND id > ?"
        " AND (taken_by IS NULL OR (? AND unsettled)) ORDER BY id",
        (job_id, after or 0, after is not None),
    ).fetchall()
    if rows:
        db.execute(
            "UPDATE commands SET taken_by = ?, unsettled = 1"
            " WHERE job_id = ? AND id <= ? AND (taken_by IS NULL OR unsettled)",
            (attempt, job_id, rows[-1]["id"]),
        )
    return [command_record(row) for row in rows]


def settle_commands(
    db: sqlite3.Connection, job_id: str, through: int, also: Collection[int]
) -> None:
    """Forget what a later attempt is not to be given."""
    db.execute("DELETE FROM commands WHERE job_id = ? AND id <= ?", (job_id, through))
    db.executemany(
        "DELETE FROM commands WHERE job_id = ? AND id = ?", [(job_id, number) for number in also]
    )


def is_known(db: sqlite3.Connection, row: sqlite3.Row, mark: JournalMark | None) -> bool:
    """Whether the job of ``row`` has what carries this mark already; notes it where it has not."""
    if mark is None:
        return False
    if mark <= JournalMark(row["journal_attempt"], row["journal_number"]):
        return True
    db.execute(
        "UPDATE jobs SET journal_attempt = ?, journal_number = ? WHERE id = ?",
        (mark.attempt, mark.number, row["id"]),
    )
    return False
