"""Telling a disk without room from everything else that may go wrong with a file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_CODES = (errno.ENOSPC, errno.EDQUOT)
_WORDS = tuple(os.strerror(code) for code in _CODES)
"""For libraries that hand on what the system said, and not its number."""
_PROBE_BYTES = 1 << 20


class StorageFull(RuntimeError):
    """There was no room for what a job has to keep. What it kept before is whole."""


def is_storage_full(error: BaseException, folder: Path | None = None) -> bool:
    """Whether something failed because a disk or a quota was used up.

    Args:
        error: what was raised; what it came of counts too.
        folder: where it was written to, if known. Some libraries say nothing of the cause (torch):
            then a small file is tried, which has to happen before anything is cleared away.
    """
    for found in _chain(error):
        if isinstance(found, StorageFull):
            return True
        if isinstance(found, OSError) and found.errno in _CODES:
            return True
        if any(words in str(found) for words in _WORDS):
            return True
    return folder is not None and not _has_room(folder)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of; errors of remote calls keep that in ``cause``."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        found = left.pop()
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        left += [getattr(found, "cause", None), found.__cause__, found.__context__]


def _has_room(folder: Path) -> bool:
    """Whether a small file can be written; not, where it failed for want of room."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno not in _CODES
    return True
