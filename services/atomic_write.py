"""Files that are whole or not there: written beside their place, then moved onto it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of ``path``, whose folder is made, when the block ends.

    Where the block raises, or the process ends in it, what was at ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        yield file
    os.replace(partial, path)


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` as :func:`replacing` does."""
    with replacing(path) as file:
        file.write(text.encode())
