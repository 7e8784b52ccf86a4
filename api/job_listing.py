"""Pages of jobs of one kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fastapi import Request

from api.dependencies import Context
from api.problems import ApiProblem
from api.schemas import JobPage, JobSummary
from services.control.cursor import BadCursor, seal, unseal
from services.stores.lifecycle import JobState
from services.stores.listing import JobFilter
from services.stores.protocol import BadCursor as UnknownPosition

_LABEL: Final = re.compile(r"label\[([a-z0-9][a-z0-9._/-]{0,62})\]")
_MOST_LABELS: Final = 16


def listed(
    context: Context,
    limit: int,
    after: str | None,
    states: Sequence[JobState] | None,
    where: JobFilter,
) -> JobPage:
    """A page of jobs, newest first.

    Args:
        context: of the control plane.
        limit: most jobs of the page.
        after: cursor of the page before.
        states: the jobs are in one of these; None for any.
        where: what else they meet.

    Raises:
        BadCursor: ``after`` is none, or one of another listing.
    """
    listing = {**vars(where), "states": sorted(states or [])}
    position = None if after is None else unseal(context.secret, after, listing)
    try:
        records, cursor = context.store.list_jobs(limit, position, states, where)
    except UnknownPosition as error:
        raise BadCursor from error
    return JobPage(
        data=[JobSummary.of(r) for r in records],
        has_more=cursor is not None,
        next_cursor=None if cursor is None else seal(context.secret, cursor, listing),
    )


def labels_of(request: Request) -> dict[str, str]:
    """The labels that are asked for, ``label[KEY]=VALUE``.

    Raises:
        ApiProblem: 400, one is not written so, or there are too many.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if not name.startswith("label["):
            continue
        match = _LABEL.fullmatch(name)
        if match is None or match[1] in found or len(found) >= _MOST_LABELS:
            detail = f"{name[:80]!r}: write label[KEY]=VALUE, each key once, at most {_MOST_LABELS}"
            raise ApiProblem(400, "bad_label", detail)
        found[match[1]] = value
    return found
