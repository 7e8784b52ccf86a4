"""The logs of a job's workers, read piece by piece."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.home import JobFolder
from services.role_log import log_file

ROLE: Final = r"^[a-z][a-z-]{0,30}$"
_NAME: Final = re.compile(r"([a-z][a-z-]{0,30})-([0-9]{1,6})\.log")


@dataclass(frozen=True)
class LogFile:
    """The log of one worker, over all attempts."""

    role: str
    rank: int
    bytes: int
    modified_at: float
    """Unix seconds."""


@dataclass(frozen=True)
class Piece:
    """A part of a log."""

    text: str
    """Whole lines, except where one is longer than what was asked for."""
    start: int
    end: int
    """Where the next piece begins; both in bytes."""
    size: int
    """Of the whole log now."""


def log_files(folder: JobFolder) -> list[LogFile]:
    """Every log there is, by role and rank."""
    found = []
    for file in folder.logs.glob("*.log"):
        match = _NAME.fullmatch(file.name)
        if match and not file.is_symlink():
            status = file.stat()
            found.append(LogFile(match[1], int(match[2]), status.st_size, status.st_mtime))
    return sorted(found, key=lambda f: (f.role, f.rank))


def read_log(folder: JobFolder, role: str, rank: int, start: int, most: int) -> Piece | None:
    """A piece of a log of at most so many bytes; None where there is no such log.

    Args:
        folder: of the job.
        role: matches :data:`ROLE`.
        rank: of the worker.
        start: in bytes; negative counts from the end, and then begins at a line.
        most: bytes to read.
    """
    file = log_file(folder.logs, role, rank)
    if not re.fullmatch(ROLE, role) or file.is_symlink() or not file.is_file():
        return None
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        place = max(0, size + start) if start < 0 else min(start, size)
        stream.seek(place)
        data = stream.read(most)
    if start < 0 and place > 0:
        first = data.find(b"\n") + 1
        place, data = place + first, data[first:]
    if place + len(data) < size or not data.endswith(b"\n"):
        # A line that is still being written waits for its end; one that is too long is cut.
        whole = data.rfind(b"\n") + 1
        data = data[:whole] if whole else (data if len(data) == most else b"")
    return Piece(data.decode("utf-8", "replace"), place, place + len(data), size)


def rest_of(folder: JobFolder, role: str, rank: int, start: int, most: int) -> Piece | None:
    """As :func:`read_log`, with a last line that has no end: its writer is gone."""
    piece = read_log(folder, role, rank, start, most)
    if piece is None or piece.text or piece.end >= piece.size:
        return piece
    with log_file(folder.logs, role, rank).open("rb") as stream:
        stream.seek(piece.end)
        data = stream.read(most)
    return Piece(data.decode("utf-8", "replace"), piece.end, piece.end + len(data), piece.size)
