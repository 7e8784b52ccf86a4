"""The job store of several machines: a Redis server (7.0 or later).

Every write is one Lua script. Redis runs a script from start to end before anything else, so checks
and writes cannot be separated, without the rounds of WATCH and MULTI that lose against a busy
writer; and it logs what a script wrote as one transaction, so that a server killed half way has all
of it or nothing. How long a write may be lost is a setting of the server (``docs/stores.md``).

Keys of one operation lie in several slots: a cluster of shards does not work, a server with
replicas does. Nothing is asked of the server but the commands that ``docs/stores.md`` lists.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import redis

from services.spec.kind import JobKind, Spec, kind_of
from services.stores.encoding import (
    command_message,
    creation_data,
    creation_message,
    cursor_of,
    plain,
    position_of,
    to_json,
)
from services.stores.identity import new_job_id
from services.stores.journal_mark import JournalMark
from services.stores.lifecycle import STATES, CommandKind, JobState
from services.stores.listing import EVERY_JOB, JobFilter
from services.stores.protocol import (
    DEFAULT_TENANT,
    Command,
    EventLevel,
    EventRecord,
    JobNotFound,
    JobRecord,
    Origin,
)
from services.stores.redis_address import RedisAddress
from services.stores.redis_calls import RedisCalls
from services.stores.redis_layout import prepare
from services.stores.redis_list import indices_of, jobs_below, scope, scopes_of
from services.stores.redis_records import (
    command_record,
    event_record,
    job_record,
)


class RedisJobStore:
    """:class:`services.stores.protocol.JobStore` on a Redis server."""

    def __init__(
        self, address: RedisAddress, *, patience: float, is_prepared: bool = False
    ) -> None:
        """Connect, and begin a store where there is none.

        Args:
            address: the server.
            patience: how long each operation is repeated, in seconds, while the server cannot be
                reached.
            is_prepared: whether there is a store that was looked at; then nothing is contacted yet.

        Raises:
            UnknownLayout: a newer version of Laconic wrote it.
            StoreUnavailable: the server cannot be reached, refuses, or is too old.
        """
        self._calls = RedisCalls(address, patience)
        if not is_prepared:
            prepare(self._calls)

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
        fields = {
            "id": job_id,
            "kind": kind_of(spec),
            "name": spec.name,
            "spec": spec.model_dump_json(),
            "tenant": tenant,
            "labels": to_json(labels),
            "scopes": json.dumps(scopes_of(tenant, kind_of(spec))),
            "indices": json.dumps(indices_of(spec.name, labels or {})),
            **({} if preset is None else {"preset": preset}),
            **({"forked_from": to_json(asdict(forked_from))} if forked_from else {}),
        }
        answer = self._calls.write(
            job_id,
            "create",
            fenced=False,
            fields=fields,
            message=creation_message(spec, preset, forked_from),
            data=to_json(creation_data(forked_from)),
            author=plain(author),
            reason=plain(reason),
        )
        return job_record(json.loads(answer[0]))

    def get_job(self, job_id: str) -> JobRecord:
        found = self._calls.ask(
            lambda client: client.execute_command("HGETALL", self._calls.key(job_id))
        )
        if not found:
            raise JobNotFound(job_id)
        return job_record(found)

    def list_jobs(
        self,
        limit: int = 50,
        after: str | None = None,
        states: Collection[JobState] | None = None,
        where: JobFilter = EVERY_JOB,
    ) -> tuple[list[JobRecord], str | None]:
        found = jobs_below(
            self._calls,
            below=None if after is None else position_of(after),
            limit=limit + 1,
            states=states,
            where=where,
        )
        page = found[:limit]
        cursor = cursor_of(page[-1][0]) if page and len(found) > limit else None
        return [record for _, record in page], cursor

    def count_jobs(
        self, kind: JobKind | None = None, *, tenant: str | None = None
    ) -> dict[JobState, int]:
        index = f"{self._calls.prefix}index:{scope(tenant, kind)}"

        def question(client: redis.Redis) -> list[int]:
            pipe = client.pipeline(transaction=True)
            for state in STATES:
                pipe.zcard(f"{index}:{state}")
            return list(pipe.execute())

        counts = self._calls.ask(question)
        return {state: count for state, count in zip(STATES, counts, strict=True) if count}

    def begin_attempt(
        self,
        job_id: str,
        *,
        expect: int | None = None,
        from_step: int | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> JobRecord:
        answer = self._calls.write(
            job_id,
            "begin_attempt",
            "resume",
            expect=expect,
            from_step=None if from_step is None else str(from_step),
            author=plain(author),
            reason=plain(reason),
        )
        return job_record(json.loads(answer[0]))

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
        answer = self._calls.write(
            job_id,
            "set_state",
            f"become {state}",
            attempt=attempt,
            expect=expect,
            state=state,
            cause=plain(cause),
            author=plain(author),
            reason=plain(reason),
        )
        return job_record(json.loads(answer[0]))

    def set_ray_submission(self, job_id: str, attempt: int, submission_id: str) -> None:
        self._calls.write(
            job_id, "submission", attempt=attempt, alive=True, token=False, name=submission_id
        )

    def heartbeat(self, job_id: str, attempt: int, progress: Mapping[str, Any]) -> None:
        stage = progress.get("stage")
        self._calls.write(
            job_id,
            "heartbeat",
            attempt=attempt,
            alive=True,
            token=False,
            progress=to_json(progress),
            stage=plain(stage) if isinstance(stage, str) else None,
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
        answer = self._calls.write(
            job_id,
            "append_event",
            attempt=attempt,
            alive=attempt is not None,
            mark=_marked(mark),
            at=None if at is None else repr(at),
            type=type,
            message=plain(message),
            level=level,
            data=to_json(data),
            author=plain(author),
            reason=plain(reason),
        )
        return int(answer[0])

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[EventRecord]:
        key = self._calls.key(job_id, "events")
        entries = self._calls.of_job(
            job_id, "XRANGE", key, f"{after + 1}-0", "+", "COUNT", str(limit)
        )
        return [event_record(entry) for entry in entries]

    def first_event(self, job_id: str) -> int:
        return self.events(job_id, limit=1)[0].id

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
        self._calls.write(
            job_id,
            "append_metrics",
            attempt=attempt,
            alive=True,
            token=False,
            mark=_marked(mark),
            step=str(step),
            record=to_json({**record, "step": step, "attempt": attempt}),
        )

    def metrics(self, job_id: str, after_step: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        key = self._calls.key(job_id, "metrics")
        bounds = (f"({after_step}", "+inf", "LIMIT", "0", str(limit))
        return [
            json.loads(record)
            for record in self._calls.of_job(job_id, "ZRANGEBYSCORE", key, *bounds)
        ]

    def latest_metrics(self, job_id: str) -> dict[str, Any] | None:
        key = self._calls.key(job_id, "metrics")
        found = self._calls.of_job(job_id, "ZREVRANGE", key, "0", "0")
        return json.loads(found[0]) if found else None

    def truncate_metrics(self, job_id: str, attempt: int, after_step: int) -> int:
        answer = self._calls.write(
            job_id, "truncate_metrics", attempt=attempt, alive=True, after=str(after_step)
        )
        return int(answer[0])

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
        grace = data.get("grace_seconds")
        author, reason = plain(author), plain(reason)
        answer = self._calls.write(
            job_id,
            "send_command",
            f"take the command {kind}",
            expect=expect,
            kind=kind,
            command=to_json({"data": data, "author": author, "reason": reason}),
            message=command_message(kind, data),
            data=to_json({"kind": kind, **data}),
            grace=None if grace is None else repr(float(grace)),
            author=author,
            reason=reason,
        )
        return int(answer[0])

    def take_commands(
        self, job_id: str, attempt: int, *, after: int | None = None
    ) -> list[Command]:
        answer = self._calls.write(
            job_id,
            "take_commands",
            attempt=attempt,
            alive=True,
            token=after is None,
            after=None if after is None else str(after),
        )
        return [command_record(entry) for entry in answer[0]]

    def settle_commands(
        self, job_id: str, attempt: int, through: int, also: Collection[int] = ()
    ) -> None:
        self._calls.write(
            job_id,
            "settle_commands",
            attempt=attempt,
            alive=True,
            token=False,
            through=str(through),
            also={str(number): True for number in also},
        )

    # -- upkeep -------------------------------------------------------------------------------

    def trim(self, job_id: str, *, events: int | None, metrics: int | None) -> None:
        self._calls.write(
            job_id,
            "trim",
            token=False,
            events=None if events is None else str(max(events, 1)),
            metrics=None if metrics is None else str(metrics),
        )

    def remove_ended(self, before: float, limit: int = 100) -> list[str]:
        answer = self._calls.run("remove_ended", token=True, before=repr(before), limit=str(limit))
        return [str(job_id) for job_id in answer[0]]

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        milliseconds = str(max(1, math.ceil(1000 * seconds)))
        answer = self._calls.run("hold", name=name, owner=owner, milliseconds=milliseconds)
        return bool(answer[0])

    def release(self, name: str, owner: str) -> None:
        self._calls.run("release", name=name, owner=owner)

    def hasty(self, patience: float) -> RedisJobStore:
        return RedisJobStore(self._calls.address, patience=patience, is_prepared=True)

    def ping(self) -> None:
        self._calls.ask(lambda client: client.ping())

    def close(self) -> None:
        self._calls.close()


def _marked(mark: JournalMark | None) -> dict[str, str] | None:
    return None if mark is None else {"attempt": str(mark.attempt), "number": str(mark.number)}
