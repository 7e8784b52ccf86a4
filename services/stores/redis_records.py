"""What Redis answers, turned into the records of the job store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from services.spec.kind import JobKind, read_spec
from services.stores.encoding import origin_of
from services.stores.lifecycle import CommandKind, JobState
from services.stores.protocol import Command, EventLevel, EventRecord, JobRecord


def job_record(found: Mapping[str, str]) -> JobRecord:
    """The record of a job's hash."""

    kind = cast(JobKind, found["kind"])

    def seconds(name: str) -> float | None:
        return float(found[name]) if name in found else None

    return JobRecord(
        id=found["id"],
        kind=kind,
        name=found["name"],
        spec=read_spec(kind, found["spec"]),
        preset=found.get("preset"),
        state=cast(JobState, found["state"]),
        cause=found.get("cause"),
        attempt=int(found["attempt"]),
        created_at=float(found["created_at"]),
        updated_at=float(found["updated_at"]),
        started_at=seconds("started_at"),
        finished_at=seconds("finished_at"),
        heartbeat_at=seconds("heartbeat_at"),
        progress=json.loads(found["progress"]) if "progress" in found else None,
        ray_submission_id=found.get("ray_submission_id"),
        cancel_requested_at=seconds("cancel_requested_at"),
        cancel_grace_seconds=seconds("cancel_grace_seconds"),
        held=cast("JobState | None", found.get("held")),
        revision=int(found["revision"]),
        tenant=found["tenant"],
        labels=json.loads(found["labels"]),
        forked_from=origin_of(found.get("forked_from")),
    )


def event_record(entry: tuple[str, Mapping[str, str]]) -> EventRecord:
    """The record of an entry of a job's stream."""
    identity, found = entry
    return EventRecord(
        id=int(identity.partition("-")[0]),
        time=float(found["time"]),
        type=found["type"],
        message=found["message"],
        level=cast(EventLevel, found["level"]),
        attempt=int(found["attempt"]) if "attempt" in found else None,
        data=json.loads(found["data"]),
        author=found.get("author"),
        reason=found.get("reason"),
    )


def command_record(entry: str) -> Command:
    """The record of a waiting command: its id, its kind, and the rest as JSON."""
    identity, kind, rest = entry.split(" ", 2)
    said: dict[str, Any] = json.loads(rest)
    return Command(
        int(identity), cast(CommandKind, kind), said["data"], said["author"], said["reason"]
    )
