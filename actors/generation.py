"""One batch of requests, shared among the generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actors.roles import Handle
from actors.waiting import Waiter
from services.rollout.request import Decoding, RolloutRequest


def generate(
    generators: Mapping[str, Handle],
    waiter: Waiter,
    seconds: float,
    requests: Sequence[RolloutRequest],
    decoding: Decoding,
) -> list[dict[str, Any]]:
    """Have every generator answer its share; return one record a request, in the order asked.

    Args:
        seconds: longest wait for the whole batch.
    """
    handles = list(generators.values())
    calls = [
        handle.generate.remote(
            [r.model_dump() for r in requests[i :: len(handles)]], decoding.model_dump()
        )
        for i, handle in enumerate(handles)
    ]
    what = f"{len(requests)} rollout groups from {len(handles)} generator(s)"
    shares = waiter.all(calls, seconds, what)
    by_id = {r["group_id"]: r for share in shares for r in share}
    return [by_id[r.group_id] for r in requests]
