"""Peak memory of this process and everything below it, measured while it runs."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Final

import psutil

_INTERVAL_SECONDS: Final = 2.0


def tree_pss_bytes() -> int:
    """Return the proportional set size of this process and its descendants together.

    Proportional: a page that several processes share, such as the object store's or a library's,
    counts once in the sum.
    """
    me = psutil.Process()
    total = 0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(OSError, psutil.Error):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += next(
                int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")
            )
    return total * 1024


class MemoryWatch:
    """Context manager that samples the tree every two seconds."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join(timeout=10)

    def _sample(self) -> None:
        while not self._done.wait(_INTERVAL_SECONDS):
            self.peak_bytes = max(self.peak_bytes, tree_pss_bytes())
