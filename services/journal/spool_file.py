"""The spool of an attempt on disk: a file of JSON lines in the folder of its job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from services.atomic_write import replacing
from services.journal.entry import Entry

_ENDING = ".jsonl"


class SpoolFile:
    """What an attempt could not write into the store, each line on the disk before it counts."""

    def __init__(self, folder: Path, attempt: int) -> None:
        """Nothing is made yet."""
        self._folder = folder
        self._path = folder / f"{attempt:06d}{_ENDING}"

    @property
    def is_awaited(self) -> bool:
        """Whether earlier attempts have left something that was not taken over yet."""
        return any(path < self._path for path in self._folder.glob(f"*{_ENDING}"))

    def take_over(self, keep: Callable[[Entry], bool]) -> list[Entry]:
        """Make what earlier attempts have left this attempt's own, and drop what is not to be
        kept; return the rest in order.

        A later file holds all that counts of the earlier ones: an attempt that was killed in here
        leaves things as they were or as they are to be.
        """
        for debris in self._folder.glob("*.partial"):
            debris.unlink()
        left = sorted(self._folder.glob(f"*{_ENDING}"))
        kept = [entry for entry in _read(left[-1]) if keep(entry)] if left else []
        if kept:
            with replacing(self._path) as file:
                file.writelines(entry.line() for entry in kept)
                file.flush()
                os.fsync(file.fileno())
            _sync(self._folder)
        for path in left:
            if path != self._path or not kept:
                path.unlink()
        return kept

    def add(self, entry: Entry) -> None:
        """Write one more.

        Raises:
            OSError: it could not be; the file is as it was.
        """
        is_new = not self._path.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            try:
                left = memoryview(entry.line())
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            _sync(self._folder)

    def clear(self) -> None:
        """Forget all of it: the store has it."""
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> Sequence[Entry]:
    """Entries up to the first line that is not whole: it was being written when its writer was
    killed, and never counted."""
    found = []
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            found.append(Entry.read(line))
        except ValueError:
            break
    return found


def _sync(folder: Path) -> None:
    """Have the disk hold the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
