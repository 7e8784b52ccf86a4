"""What a job leaves behind besides its checkpoints: evaluations, models, reports, figures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from services.home import JobFolder

Kind = Literal["evaluation", "model", "report", "analysis", "plot"]

_FOLDERS: Final[dict[str, Kind]] = {
    "evaluations": "evaluation",
    "models": "model",
    "report": "report",
    "analysis": "analysis",
}
_PLOTS: Final = frozenset({".png", ".svg"})


@dataclass(frozen=True)
class Artifact:
    """One file."""

    path: str
    """Within the job's folder."""
    kind: Kind
    file: Path
    bytes: int
    modified_at: float
    """Unix seconds."""

    @property
    def sha256(self) -> str:
        """Digest of the content, read once for each change of the file."""
        return _sha256(self.file, self.bytes, self.modified_at)


def artifacts(folder: JobFolder) -> Iterator[Artifact]:
    """Every artifact, in the order of their paths. Links are left out: what they lead to is not the
    job's."""
    for top, kind in sorted(_FOLDERS.items()):
        for parent, folders, names in os.walk(folder.root / top):
            folders.sort()
            for name in sorted(names):
                file = Path(parent, name)
                if name.endswith(".partial") or file.is_symlink():
                    continue
                try:
                    status = file.stat()
                except OSError:
                    continue  # It was replaced meanwhile.
                drawn = kind in ("report", "analysis") and file.suffix in _PLOTS
                yield Artifact(
                    path=str(file.relative_to(folder.root)),
                    kind="plot" if drawn else kind,
                    file=file,
                    bytes=status.st_size,
                    modified_at=status.st_mtime,
                )


def find_artifact(folder: JobFolder, path: str) -> Artifact | None:
    """The artifact at a path, None where there is none: only what a listing shows can be had."""
    return next((a for a in artifacts(folder) if a.path == path), None)


@lru_cache(maxsize=4096)
def _sha256(file: Path, _bytes: int, _modified_at: float) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
