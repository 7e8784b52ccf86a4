"""The job store on one machine: a SQLite file in write-ahead mode.

Every write is one short ``BEGIN IMMEDIATE`` transaction, so checks and writes cannot be separated
by another process. Each thread has its own connection.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.spec.kind import JobKind, Spec, kind_of
from services.stores import sqlite_moves, sqlite_upkeep
from services.stores.encoding import (
    creation_data,
    creation_message,
    cursor_of,
    position_of,
    to_json,
)
from services.stores.identity import new_job_id
from services.stores.journal_mark import JournalMark
from services.stores.lifecycle import (
    CommandKind,
    JobState,
)
from services.stores.listing import EVERY_JOB, JobFilter
from services.stores.protocol import (
    DEFAULT_TENANT,
    Command,
    EventLevel,
    EventRecord,
    JobRecord,
    Origin,
)
from services.stores.sqlite_connections import Connections
from services.stores.sqlite_listing import page as page_of
from services.stores.sqlite_rows import (
    add_event,
    event_record,
    job_record,
    job_row,
)


class SqliteJobStore:
    """:class:`services.stores.protocol.JobStore` in one file."""

    def __init__(self, path: str | Path) -> None:
        """Open or create the database.

        Raises:
            UnknownLayout: a newer version of Laconic wrote it.
            StoreUnavailable: the file cannot be opened or is no database.
        """
        self._connections = Connections(Path(path))
        self._read, self._write = self._connections.read, self._connections.write

    # -- jobs ---------------------------------------------------------------------------------

    def create_job(
        self,
        spec: Spec,
        preset: str | None,
        *,
        job_id: str | None = None,
        tenant: str = DEFAULT_TENANT,
        labels: Mapping[str, str] | None = None,
        forked_from: Origin | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        job_id = job_id or new_job_id(kind_of(spec))
        with self._write() as db:
            if known := db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone():
                return job_record(known)
            last = db.execute("SELECT created_at FROM jobs ORDER BY seq DESC LIMIT 1").fetchone()
            # A clock that was set back does not put a job before an older one.
            now = max(time.time(), last[0] if last else 0)
            position = db.execute(
                "INSERT INTO jobs (id, kind, name, spec, preset, state, attempt, created_at,"
                " updated_at, tenant, labels, forked_from)"
                " VALUES (?, ?, ?, ?, ?, 'queued', 1, ?, ?, ?, ?, ?)",
                (
                    *(job_id, kind_of(spec), spec.name, spec.model_dump_json(), preset),
                    *(now, now, tenant, to_json(labels)),
                    to_json(asdict(forked_from)) if forked_from else None,
                ),
            ).lastrowid
            db.executemany(
                "INSERT INTO job_labels (key, value, seq) VALUES (?, ?, ?)",
                [(key, value, position) for key, value in (labels or {}).items()],
            )
            text = creation_message(spec, preset, forked_from)
            add_event(
                db,
                job_id,
                "created",
                text,
                data=creation_data(forked_from),
                attempt=1,
                author=author,
                reason=reason,
            )
            return job_record(job_row(db, job_id))

    def get_job(self, job_id: str) -> JobRecord:
        with self._read() as db:
            return job_record(job_row(db, job_id))

    def list_jobs(
        self,
        limit: int = 50,
        after: str | None = None,
        states: Collection[JobState] | None = None,
        where: JobFilter = EVERY_JOB,
    ) -> tuple[list[JobRecord], str | None]:
        before = 2**62 if after is None else position_of(after)
        with self._read() as db:
            rows = page_of(db, limit + 1, before, states, where)
        page = rows[:limit]
        cursor = cursor_of(page[-1]["seq"]) if page and len(rows) > limit else None
        return [job_record(row) for row in page], cursor

    def count_jobs(
        self, kind: JobKind | None = None, *, tenant: str | None = None
    ) -> dict[JobState, int]:
        with self._read() as db:
            rows = db.execute(
                "SELECT state, COUNT(*) FROM jobs"
                " WHERE tenant = IFNULL(?, tenant) AND kind = IFNULL(?, kind) GROUP BY state",
                (tenant, kind),
            ).fetchall()
        return {row[0]: row[1] for row in rows}

    def begin_attempt(
        self,
        job_id: str,
        *,
        expect: int | None = None,
        from_step: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        with self._write() as db:
            return sqlite_moves.begin_attempt(
                db, job_id, expect=expect, from_step=from_step, author=author, reason=reason
            )

    def set_state(
        self,
        job_id: str,
        state: JobState,
        *,
        attempt: int | None,
        cause: str | None = None,
        expect: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        with self._write() as db:
            return sqlite_moves.set_state(
                db,
                job_id,
                state,
                attempt=attempt,
                cause=cause,
                expect=expect,
                author=author,
                reason=reason,
            )

    def set_ray_submission(self, job_id: str, attempt: int, submission_id: str) -> None:
        with self._write() as db:
            job_row(db, job_id, attempt, alive=True)
            db.execute(
                "UPDATE jobs SET ray_submission_id = ?, updated_at = ? WHERE id = ?",
                (submission_id, time.time(), job_id),
            )

    def heartbeat(self, job_id: str, attempt: int, progress: Mapping[str, Any]) -> None:
        with self._write() as db:
            job_row(db, job_id, attempt, alive=True)
            now = time.time()
            db.execute(
                "UPDATE jobs SET heartbeat_at = ?, progress = ?, updated_at = ? WHERE id = ?",
                (now, to_json(progress), now, job_id),
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
        author: str | None = None,
        reason: str | None = None,
        mark: JournalMark | None = None,
        at: float | None = None,
    ) -> int:
        with self._write() as db:
            row = job_row(db, job_id, attempt, alive=attempt is not None)
            if sqlite_moves.is_known(db, row, mark):
                return 0
            return add_event(
                db,
                job_id,
                type,
                message,
                level=level,
                data=data,
                attempt=attempt,
                author=author,
                reason=reason,
                at=at,
            )

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[EventRecord]:
        with self._read() as db:
            job_row(db, job_id)
            rows = db.execute(
                "SELECT * FROM events WHERE job_id = ? AND id > ? ORDER BY id LIMIT ?",
                (job_id, after, limit),
            ).fetchall()
        return [event_record(row) for row in rows]

    def first_event(self, job_id: str) -> int:
        with self._read() as db:
            job_row(db, job_id)
            found = db.execute("SELECT MIN(id) FROM events WHERE job_id = ?", (job_id,)).fetchone()
        return int(found[0])

    # -- metrics ------------------------------------------------------------------------------

    def append_metrics(
        self,
        job_id: str,
        attempt: int,
        step: int,
        record: Mapping[str, Any],
        *,
        mark: JournalMark | None = None,
    ) -> None:
        with self._write() as db:
            if sqlite_moves.is_known(db, job_row(db, job_id, attempt, alive=True), mark):
                return
            db.execute(
                "INSERT OR REPLACE INTO metrics (job_id, step, attempt, record)"
                " VALUES (?, ?, ?, ?)",
                (job_id, step, attempt, to_json({**record, "step": step, "attempt": attempt})),
            )

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        with self._read() as db:
            job_row(db, job_id)
            rows = db.execute(
                "SELECT record FROM metrics WHERE job_id = ? AND step > ? ORDER BY step LIMIT ?",
                (job_id, after_step, limit),
            ).fetchall()
        return [json.loads(row["record"]) for row in rows]

    def latest_metrics(self, job_id: str) -> dict[str, Any] | None:
        with self._read() as db:
            job_row(db, job_id)
            row = db.execute(
                "SELECT record FROM metrics WHERE job_id = ? ORDER BY step DESC LIMIT 1", (job_id,)
            ).fetchone()
        return None if row is None else json.loads(row["record"])

    def truncate_metrics(self, job_id: str, attempt: int, after_step: int) -> int:
        with self._write() as db:
            job_row(db, job_id, attempt, alive=True)
            gone = db.execute(
                "DELETE FROM metrics WHERE job_id = ? AND step > ?", (job_id, after_step)
            )
            return gone.rowcount

    # -- commands -----------------------------------------------------------------------------

    def send_command(
        self,
        job_id: str,
        kind: CommandKind,
        data: Mapping[str, Any],
        *,
        expect: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> int:
        with self._write() as db:
            return sqlite_moves.send_command(
                db, job_id, kind, data, expect=expect, author=author, reason=reason
            )

    def take_commands(
        self, job_id: str, attempt: int, *, after: int | None = None
    ) -> list[Command]:
        with self._write() as db:
            job_row(db, job_id, attempt, alive=True)
            return sqlite_moves.take_commands(db, job_id, attempt, after)

    def settle_commands(
        self, job_id: str, attempt: int, through: int, also: Collection[int] = ()
    ) -> None:
        with self._write() as db:
            job_row(db, job_id, attempt, alive=True)
            sqlite_moves.settle_commands(db, job_id, through, also)

    # -- upkeep -------------------------------------------------------------------------------

    def trim(self, job_id: str, *, events: int | None, metrics: int | None) -> None:
        with self._write() as db:
            job_row(db, job_id)
            sqlite_upkeep.trim(db, job_id, events, metrics)

    def remove_ended(self, before: float, limit: int = 100) -> list[str]:
        with self._write() as db:
            return sqlite_upkeep.remove_ended(db, before, limit)

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        with self._write() as db:
            return sqlite_upkeep.hold(db, name, owner, seconds)

    def release(self, name: str, owner: str) -> None:
        with self._write() as db:
            sqlite_upkeep.release(db, name, owner)

    def hasty(self, patience: float) -> SqliteJobStore:
        return self

    def ping(self) -> None:
        with self._read() as db:
            db.execute("SELECT 1 FROM jobs LIMIT 1").fetchone()

    def close(self) -> None:
        self._connections.close()
