"""The job store on one machine: a SQLite file in write-ahead mode.

Every write is one short ``BEGIN IMMEDIATE`` transaction, so checks and writes cannot be separated
by another process. Each thread has its own connection.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from services.spec.kind import JobKind, Spec, kind_of, read_spec
from services.stores.lifecycle import ACTIVE, RESUMABLE, STATES, JobState, allowed, is_legal
from services.stores.protocol import (
    Command,
    CommandKind,
    EventLevel,
    EventRecord,
    IllegalTransition,
    JobNotFound,
    JobRecord,
    StaleAttempt,
)
from services.stores.sqlite_schema import connect, prepare

_ALPHABET = string.ascii_lowercase + string.digits


_PREFIXES: Final[dict[JobKind, str]] = {"training": "job-", "evaluation": "eval-"}


def _new_id(kind: JobKind) -> str:
    return _PREFIXES[kind] + "".join(secrets.choice(_ALPHABET) for _ in range(10))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for what could not be measured."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(_finite(value or {}), allow_nan=False, separators=(",", ":"))


class SqliteJobStore:
    """:class:`services.stores.protocol.JobStore` in one file."""

    def __init__(self, path: str | Path) -> None:
        """Open or create the database.

        Raises:
            UnknownLayout: a newer version of Laconic wrote it.
            sqlite3.Error: the file cannot be opened or is no database.
        """
        self._path = Path(path)
        prepare(self._path)
        self._local = threading.local()

    # -- jobs ---------------------------------------------------------------------------------

    def create_job(self, spec: Spec, preset: str | None) -> JobRecord:
        now, kind = time.time(), kind_of(spec)
        job_id = _new_id(kind)
        with self._write() as db:
            db.execute(
                "INSERT INTO jobs"
                " (id, kind, name, spec, preset, state, attempt, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, 'queued', 1, ?, ?)",
                (job_id, kind, spec.name, spec.model_dump_json(), preset, now, now),
            )
            origin = f" from preset {preset}" if preset else ""
            what = "job" if kind == "training" else kind
            _add_event(db, job_id, "created", f"{what} {spec.name!r} created{origin}", attempt=1)
            return _record(_row(db, job_id))

    def get_job(self, job_id: str) -> JobRecord:
        return _record(_row(self._connection(), job_id))

    def list_jobs(
        self,
        limit: int = 50,
        after: str | None = None,
        states: Collection[JobState] | None = None,
        kind: JobKind | None = None,
    ) -> tuple[list[JobRecord], str | None]:
        db = self._connection()
        before = _row(db, after)["seq"] if after is not None else 2**62
        wanted = tuple(STATES if states is None else states)
        marks = ",".join("?" * len(wanted))
        rows = db.execute(
            f"SELECT * FROM jobs WHERE seq < ? AND state IN ({marks}) AND kind = IFNULL(?, kind)"
            " ORDER BY seq DESC LIMIT ?",
            (before, *wanted, kind, limit + 1),
        ).fetchall()
        page = [_record(r) for r in rows[:limit]]
        return page, (page[-1].id if page and len(rows) > limit else None)

    def count_jobs(self, kind: JobKind) -> dict[JobState, int]:
        rows = self._connection().execute(
            "SELECT state, COUNT(*) FROM jobs WHERE kind = ? GROUP BY state", (kind,)
        )
        return {row[0]: row[1] for row in rows}

    def begin_attempt(self, job_id: str) -> JobRecord:
        with self._write() as db:
            row = _row(db, job_id)
            if row["state"] not in RESUMABLE:
                raise IllegalTransition(job_id, row["state"], "resume", allowed(row["state"]))
            attempt = row["attempt"] + 1
            db.execute(
                "UPDATE jobs SET state = 'queued', cause = NULL, attempt = ?, updated_at = ?,"
                " started_at = NULL, finished_at = NULL, heartbeat_at = NULL, progress = NULL,"
                " ray_submission_id = NULL, cancel_requested_at = NULL WHERE id = ?",
                (attempt, time.time(), job_id),
            )
            db.execute(
                "DELETE FROM commands WHERE job_id = ? AND taken_by IS NULL AND kind != 'stage'",
                (job_id,),
            )
            _add_state_event(db, job_id, row["state"], "queued", cause=None, attempt=attempt)
            return _record(_row(db, job_id))

    def set_state(
        self, job_id: str, state: JobState, *, attempt: int | None, cause: str | None = None
    ) -> JobRecord:
        with self._write() as db:
            row = _row(db, job_id, attempt)
            current: JobState = row["state"]
            if state == current:
                return _record(row)
            if state == "queued" or not is_legal(current, state):
                raise IllegalTransition(job_id, current, f"become {state}", allowed(current))
            now = time.time()
            left_queue = current == "queued" and state in ACTIVE
            db.execute(
                "UPDATE jobs SET state = ?, cause = ?, updated_at = ?, started_at = ?,"
                " finished_at = ? WHERE id = ?",
                (
                    state,
                    cause,
                    now,
                    now if left_queue else row["started_at"],
                    None if state in ACTIVE else now,
                    job_id,
                ),
            )
            _add_state_event(db, job_id, current, state, cause=cause, attempt=row["attempt"])
            return _record(_row(db, job_id))

    def set_ray_submission(self, job_id: str, attempt: int, submission_id: str) -> None:
        with self._write() as db:
            _row(db, job_id, attempt)
            db.execute(
                "UPDATE jobs SET ray_submission_id = ?, updated_at = ? WHERE id = ?",
                (submission_id, time.time(), job_id),
            )

    def heartbeat(self, job_id: str, attempt: int, progress: Mapping[str, Any]) -> None:
        with self._write() as db:
            _row(db, job_id, attempt, alive=True)
            now = time.time()
            db.execute(
                "UPDATE jobs SET heartbeat_at = ?, progress = ?, updated_at = ? WHERE id = ?",
                (now, _json(progress), now, job_id),
            )

    # -- events -------------------------------------------------------------------------------

    def append_event(
        self,
        job_id: str,
        type: str,
        message: str,
        *,
        level: EventLevel = "info",
        data: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> int:
        with self._write() as db:
            _row(db, job_id, attempt)
            return _add_event(db, job_id, type, message, level=level, data=data, attempt=attempt)

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[EventRecord]:
        db = self._connection()
        _row(db, job_id)
        rows = db.execute(
            "SELECT * FROM events WHERE job_id = ? AND id > ? ORDER BY id LIMIT ?",
            (job_id, after, limit),
        ).fetchall()
        return [
            EventRecord(
                id=r["id"],
                time=r["time"],
                type=r["type"],
                message=r["message"],
                level=r["level"],
                attempt=r["attempt"],
                data=json.loads(r["data"]),
            )
            for r in rows
        ]

    # -- metrics ------------------------------------------------------------------------------

    def append_metrics(
        self, job_id: str, attempt: int, step: int, record: Mapping[str, Any]
    ) -> None:
        with self._write() as db:
            _row(db, job_id, attempt, alive=True)
            db.execute(
                "INSERT OR REPLACE INTO metrics (job_id, step, attempt, record)"
                " VALUES (?, ?, ?, ?)",
                (job_id, step, attempt, _json({**record, "step": step, "attempt": attempt})),
            )

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        db = self._connection()
        _row(db, job_id)
        rows = db.execute(
            "SELECT record FROM metrics WHERE job_id = ? AND step > ? ORDER BY step LIMIT ?",
            (job_id, after_step, limit),
        ).fetchall()
        return [json.loads(r["record"]) for r in rows]

    def latest_metrics(self, job_id: str) -> dict[str, Any] | None:
        db = self._connection()
        _row(db, job_id)
        row = db.execute(
            "SELECT record FROM metrics WHERE job_id = ? ORDER BY step DESC LIMIT 1", (job_id,)
        ).fetchone()
        return None if row is None else json.loads(row["record"])

    def truncate_metrics(self, job_id: str, attempt: int, after_step: int) -> int:
        with self._write() as db:
            _row(db, job_id, attempt, alive=True)
            gone = db.execute(
                "DELETE FROM metrics WHERE job_id = ? AND step > ?", (job_id, after_step)
            )
            return gone.rowcount

    # -- commands -----------------------------------------------------------------------------

    def send_command(self, job_id: str, kind: CommandKind, data: Mapping[str, Any]) -> int:
        with self._write() as db:
            row = _row(db, job_id)
            if row["state"] not in ACTIVE:
                raise IllegalTransition(
                    job_id, row["state"], f"take the command {kind}", allowed(row["state"])
                )
            command = db.execute(
                "INSERT INTO commands (job_id, kind, data) VALUES (?, ?, ?)",
                (job_id, kind, _json(data)),
            ).lastrowid
            assert command is not None
            if kind == "cancel" and row["cancel_requested_at"] is None:
                db.execute(
                    "UPDATE jobs SET cancel_requested_at = ? WHERE id = ?", (time.time(), job_id)
                )
            text = f"{kind} requested" + (f": {data['to']}" if "to" in data else "")
            _add_event(db, job_id, "command", text, data={"kind": kind, **data})
            return command

    def take_commands(self, job_id: str, attempt: int) -> list[Command]:
        with self._write() as db:
            _row(db, job_id, attempt, alive=True)
            rows = db.execute(
                "SELECT * FROM commands WHERE job_id = ? AND taken_by IS NULL ORDER BY id",
                (job_id,),
            ).fetchall()
            db.execute(
                "UPDATE commands SET taken_by = ? WHERE job_id = ? AND taken_by IS NULL",
                (attempt, job_id),
            )
            return [Command(r["id"], r["kind"], json.loads(r["data"])) for r in rows]

    # -- connections --------------------------------------------------------------------------

    def ping(self) -> None:
        self._connection().execute("SELECT 1 FROM jobs LIMIT 1").fetchone()

    def _connection(self) -> sqlite3.Connection:
        # SQLite connections must not cross a fork.
        if getattr(self._local, "owner", None) != os.getpid():
            self._local.connection = connect(self._path)
            self._local.owner = os.getpid()
        connection: sqlite3.Connection = self._local.connection
        return connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            # A full disk may have rolled back already.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _row(
    db: sqlite3.Connection, job_id: str, attempt: int | None = None, *, alive: bool = False
) -> sqlite3.Row:
    """The job's row, after the fence: ``alive`` also refuses a job that has ended."""
    row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    if attempt is not None and (
        attempt != row["attempt"] or (alive and row["state"] not in ACTIVE)
    ):
        raise StaleAttempt(job_id, attempt, row["attempt"], row["state"])
    assert isinstance(row, sqlite3.Row)
    return row


def _record(row: sqlite3.Row) -> JobRecord:
    values = {k: row[k] for k in row.keys() if k not in ("seq", "spec", "progress")}  # noqa: SIM118
    return JobRecord(
        **values,
        spec=read_spec(row["kind"], row["spec"]),
        progress=None if row["progress"] is None else json.loads(row["progress"]),
    )


def _add_event(
    db: sqlite3.Connection,
    job_id: str,
    type: str,
    message: str,
    *,
    level: EventLevel = "info",
    data: Mapping[str, Any] | None = None,
    attempt: int | None = None,
) -> int:
    last = db.execute("SELECT MAX(id) FROM events WHERE job_id = ?", (job_id,)).fetchone()[0]
    event_id = (last or 0) + 1
    db.execute(
        "INSERT INTO events (job_id, id, time, type, message, level, attempt, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (job_id, event_id, time.time(), type, message, level, attempt, _json(data)),
    )
    return event_id


def _add_state_event(
    db: sqlite3.Connection,
    job_id: str,
    old: str,
    new: JobState,
    *,
    cause: str | None,
    attempt: int,
) -> None:
    levels: dict[str, EventLevel] = {"failed": "error", "interrupted": "warning"}
    _add_event(
        db,
        job_id,
        "state",
        new + (f": {cause}" if cause else ""),
        level=levels.get(new, "info"),
        data={"from": old, "to": new, "cause": cause},
        attempt=attempt,
    )
