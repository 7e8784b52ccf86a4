"""Entity tags of jobs. A tag has two parts, ``"REVISION-DIGEST"``: the digest is that of everything
a read shows, the revision counts what a person steers by. ``If-None-Match`` compares the whole tag,
``If-Match`` the revision, so that a heartbeat in between does not refuse a cancel."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Final

from fastapi import Depends, Header, Response

from api.dependencies import VisibleEvaluation, VisibleJob
from api.problems import ApiProblem
from services.stores.protocol import JobRecord

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_LIST: Final = re.compile(rf"\s*{_TAG.pattern}\s*(,\s*{_TAG.pattern}\s*)*")


def etag_of(job: JobRecord) -> str:
    """The tag of a job as it is."""
    seen = [job.state, job.cause, job.attempt, job.updated_at, job.heartbeat_at, job.progress]
    digest = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
    return f'"{job.revision}-{digest}"'


def is_unchanged(job: JobRecord, if_none_match: str | None) -> bool:
    """Whether a reader that has one of these tags has all there is."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag_of(job).strip('"') in {tag for _, tag in _TAG.findall(if_none_match)}


def unchanged(job: JobRecord, if_none_match: str | None, response: Response) -> Response | None:
    """The answer to a reader that has all there is. None for any other: its own answer carries the
    tag."""
    headers = {"ETag": etag_of(job)}
    if is_unchanged(job, if_none_match):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return None


IfMatch = Annotated[
    str | None, Header(description="ETag of the job as it was seen; 412 if it has changed since.")
]
IfNoneMatch = Annotated[
    str | None, Header(description="ETag of the answer before; 304 if that still holds.")
]


async def _of_job(job: VisibleJob, if_match: IfMatch = None) -> int | None:
    return expected_revision(job, if_match)


async def _of_evaluation(job: VisibleEvaluation, if_match: IfMatch = None) -> int | None:
    return expected_revision(job, if_match)


def expected_revision(job: JobRecord, if_match: str | None) -> int | None:
    """The revision the store must find, None where the caller does not mind.

    Raises:
        ApiProblem: 412 where the job is at another one already, 400 for what is no list of tags.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if not _LIST.fullmatch(if_match):
        raise ApiProblem(400, "bad_if_match", "If-Match must be the ETag of a job, with its quotes")
    # Weak tags never match here (RFC 9110, 13.1.1).
    revisions = {tag.partition("-")[0] for weak, tag in _TAG.findall(if_match) if not weak}
    if str(job.revision) not in revisions:
        detail = (
            f"job {job.id} has changed since: it is {job.state} at revision {job.revision}; look "
            "at it and try again"
        )
        raise ApiProblem(
            412,
            "changed_meanwhile",
            detail,
            extra={"revision": job.revision, "state": job.state},
            headers={"ETag": etag_of(job)},
        )
    return job.revision


Expect = Annotated[int | None, Depends(_of_job)]
ExpectEvaluation = Annotated[int | None, Depends(_of_evaluation)]
