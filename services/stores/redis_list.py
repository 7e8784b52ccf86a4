"""Lists of jobs in a Redis job store: which index to walk, and the walk in bounded pieces.

There is an index of the jobs of each state, for all of them together, for each tenant, for each
kind, and for both; one for each name and label; and one by time of creation. The smallest that
holds every job in question is walked from its newest end, so that a page costs what it holds and
what else that index holds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import redis

from services.spec.kind import JobKind
from services.stores.lifecycle import STATES, JobState
from services.stores.listing import JobFilter
from services.stores.protocol import JobRecord
from services.stores.redis_calls import RedisCalls
from services.stores.redis_records import fields_of, job_record

_SCAN: Final = 200
"""Jobs looked at in one go, for each index; meanwhile the server does nothing else."""


def scopes_of(tenant: str, kind: JobKind) -> list[str]:
    """The scopes a job belongs to: each has an index for each state."""
    return [scope(t, k) for t in (None, tenant) for k in (None, kind)]


def scope(tenant: str | None, kind: JobKind | None) -> str:
    """The jobs of a tenant and a kind; None stands for all of them."""
    return f"{kind or 'all'}@{tenant or ''}"


def indices_of(name: str, labels: Mapping[str, str]) -> list[str]:
    """The indices a job stays in whatever its state."""
    return [_of_name(name), *(_of_label(*pair) for pair in labels.items())]


def jobs_below(
    calls: RedisCalls,
    *,
    below: int | None,
    limit: int,
    states: Collection[JobState] | None,
    where: JobFilter,
) -> list[tuple[int, JobRecord]]:
    """At most ``limit`` jobs that pass the filter and came before a position, newest first, each
    with its position; None is behind the last."""
    equal = {"kind": where.kind, "tenant": where.tenant, "name": where.name}
    times = {"created_after": where.created_after, "created_before": where.created_before}
    filters: dict[str, Any] = {
        "equal": {field: value for field, value in equal.items() if value is not None},
        "labels": dict(where.labels),
        "stage": where.stage,
        "states": None if states is None else dict.fromkeys(states, True),
        **{name: None if time is None else repr(time) for name, time in times.items()},
    }
    indices = _smallest(calls, states, where)
    found: list[tuple[int, JobRecord]] = []
    position = "+inf" if below is None else str(below)
    while position and len(found) < limit:
        wanted = limit - len(found)
        rows, position = calls.run(
            "list",
            indices=indices,
            below=position,
            limit=str(wanted),
            scan=str(max(_SCAN, wanted)),
            **filters,
        )
        found += [(int(row["seq"]), job_record(row)) for row in map(fields_of, rows)]
    return found


def _smallest(
    calls: RedisCalls, states: Collection[JobState] | None, where: JobFilter
) -> list[str]:
    """Of the sets of indices that hold every job in question, the one with the fewest jobs."""
    wanted = STATES if states is None else tuple(states)
    choices = [[f"{scope(where.tenant, where.kind)}:{state}" for state in wanted]]
    if where.name is not None:
        choices.append([_of_name(where.name)])
    choices += [[_of_label(*pair)] for pair in where.labels.items()]
    if len(choices) == 1:
        return choices[0]

    def sizes(client: redis.Redis) -> list[int]:
        pipe = client.pipeline(transaction=False)
        for choice in choices:
            for index in choice:
                pipe.zcard(f"{calls.prefix}index:{index}")
        return list(pipe.execute())

    counts = iter(calls.ask(sizes))
    totals = [sum(next(counts) for _ in choice) for choice in choices]
    return choices[totals.index(min(totals))]


def _of_name(name: str) -> str:
    return f"name={name}"


def _of_label(key: str, value: str) -> str:
    return f"label={key}={value}"
