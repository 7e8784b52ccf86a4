"""Which control planes live: each holds a lock that its end, however it comes, lets go."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
from pathlib import Path
from typing import IO


class Presence:
    """One process on a home folder, and what it can see of the others there."""

    def __init__(self, folder: Path) -> None:
        """Hold a lock of a name of its own.

        Args:
            folder: the same for all that shall see each other; made where it is missing.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._folder = folder
        self.name = secrets.token_hex(8)
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file: IO[bytes] = self._path(self.name).open("wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def lives(self, name: str) -> bool:
        """Whether the one of this name is still there. One that is not is forgotten."""
        if name == self.name:
            return True
        try:
            file = self._path(name).open("rb")
        except FileNotFoundError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            self._path(name).unlink(missing_ok=True)
            return False

    def leave(self) -> None:
        """Be gone. Safe to call again."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._path(self.name).unlink()
            self._file.close()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"
