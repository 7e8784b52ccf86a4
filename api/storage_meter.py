"""What tenants have on disk, measured at most so often and once for everybody who asks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.home import Home
from services.stores.protocol import JobNotFound, JobStore

log = logging.getLogger("laconic.storage")

FRESH_SECONDS: Final = 30.0
"""How long a measurement is taken for true."""


class StorageMeter:
    """Walks the folders of jobs and named models. Safe from any thread."""

    def __init__(self, home: Home, store: JobStore) -> None:
        """Nothing is measured yet.

        Args:
            home: whose folders are measured.
            store: says whose a job is.
        """
        self._home, self._store = home, store
        self._measuring = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._measured: float | None = None
        self._tenants: dict[str, str] = {}
        """Of the jobs whose folders were seen: it never changes."""

    def fresh(self, tenant: str) -> int:
        """Bytes of a tenant, measured in the last 30 seconds, if need be while one waits."""
        with self._measuring:
            if not self._is_fresh():
                self._measure()
            return self._sizes.get(tenant, 0)

    def last(self, tenant: str) -> int:
        """Bytes of a tenant as last measured; where that is long ago, it is measured again behind
        the back of whoever asks."""
        if self._measured is None:
            return self.fresh(tenant)
        if not self._is_fresh() and self._measuring.acquire(blocking=False):
            threading.Thread(target=self._refresh, name="storage", daemon=True).start()
        return self._sizes.get(tenant, 0)

    def _is_fresh(self) -> bool:
        return self._measured is not None and time.monotonic() - self._measured < FRESH_SECONDS

    def _refresh(self) -> None:
        try:
            self._measure()
        except Exception:
            log.exception("what jobs have on disk cannot be measured; the next try follows")
        finally:
            self._measuring.release()

    def _measure(self) -> None:
        seen: set[tuple[str, int, int]] = set()
        sizes: dict[str, int] = defaultdict(int)
        for tenant, folder in self._folders():
            for status in _files(folder):
                # A file that has several names counts once.
                if (file := (tenant, status.st_dev, status.st_ino)) not in seen:
                    seen.add(file)
                    sizes[tenant] += status.st_blocks * 512
        self._sizes, self._measured = sizes, time.monotonic()

    def _folders(self) -> Iterator[tuple[str, Path]]:
        """Each folder that belongs to a tenant."""
        for folder in _subfolders(self._home.root / "jobs"):
            if folder.name not in self._tenants:
                try:
                    self._tenants[folder.name] = self._store.get_job(folder.name).tenant
                except JobNotFound:
                    continue  # The store has let go of it.
            yield self._tenants[folder.name], folder
        for folder in _subfolders(self._home.promoted("any").parent):
            yield folder.name, folder


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir()]
    except FileNotFoundError:
        return []


def _files(folder: Path) -> Iterator[os.stat_result]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(parent, name))
            except OSError:
                continue  # A checkpoint was pruned meanwhile.
