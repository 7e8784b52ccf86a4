"""Fetches a file of the API: what is there of a download that broke is not fetched again, and what
comes out is what the server has."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

import httpx

from api.transport import ApiError, Transport

_SHA256: Final = re.compile(r'"([0-9a-f]{64})"')


class DigestMismatch(Exception):
    """A file came whole and is not what it should be."""


def fetch(http: Transport, path: str, target: Path, sha256: str | None = None) -> None:
    """Write a file of the API to ``target``, by way of ``TARGET.partial``.

    Args:
        http: the control plane.
        path: of the file, quoted.
        target: takes its place in one go, once all of it is there and has its digest.
        sha256: what it must have; unset takes the ETag of the answer, where that is one.

    Raises:
        ApiError: the API refused.
        Unreachable: the connection broke; what has come is kept for the next call.
        DigestMismatch: fetched from its beginning, it has another digest.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    for from_start in (False, True):
        if from_start:
            partial.unlink(missing_ok=True)
        offset = partial.stat().st_size if partial.exists() else 0
        expected = _fetch_rest(http, path, partial, offset, sha256)
        found = _digest(partial)
        if found == expected or (expected is None and not offset):
            os.replace(partial, target)
            return
        if not offset:
            break
    partial.unlink()
    raise DigestMismatch(
        f"{path} came with SHA-256 {found} and should have {expected}; it may have been replaced "
        "meanwhile: look at the list again and fetch it anew"
    )


def _fetch_rest(
    http: Transport, path: str, partial: Path, offset: int, sha256: str | None
) -> str | None:
    """Add to the partial file what it lacks; return the digest the whole must have, if known."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    if offset and sha256:
        # Of another file than the one that was begun, all of it comes.
        headers["If-Range"] = f'"{sha256}"'
    try:
        with http.stream(path, headers=headers) as response:
            goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
            with partial.open("ab" if goes_on else "wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
            tag = _SHA256.fullmatch(response.headers.get("etag", ""))
            return sha256 or (tag[1] if tag else None)
    except ApiError as error:
        # There is as much as the file has, or more: its digest tells, if one is known.
        if error.code != "range_not_satisfiable":
            raise
        return sha256


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
