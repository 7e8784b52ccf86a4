"""Models that were given a name: the policy of a checkpoint, kept apart from its job."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from services.atomic_write import write_whole
from services.checkpoints import Manifest, link_tree

NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
_ORIGIN: Final = "origin.json"
_MODEL: Final = "model/"
_ASIDE: Final = ".aside-"


@dataclass(frozen=True)
class NamedModel:
    """A name and what it stands for."""

    name: str
    job: str
    step: int
    promoted_at: float
    """Unix seconds."""
    sha256: dict[str, str]
    """Digest of each file of the model folder."""


class NamedModels:
    """The named models of one tenant, under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """The Hugging Face folder behind a name."""
        return self.root / name / "model"

    def promote(self, name: str, job: str, checkpoint: Manifest) -> NamedModel:
        """Give the policy of a checkpoint a name, in place of whatever had it. The files are linked
        where the disk allows, so they outlive the checkpoint and take no room twice."""
        new = NamedModel(
            name=name,
            job=job,
            step=checkpoint.step,
            promoted_at=time.time(),
            sha256={
                path.removeprefix(_MODEL): digest
                for path, digest in checkpoint.sha256.items()
                if path.startswith(_MODEL)
            },
        )
        fresh, aside = self.root / f"{_ASIDE}new-{name}", self.root / f"{_ASIDE}old-{name}"
        shutil.rmtree(fresh, ignore_errors=True)
        link_tree(checkpoint.folder / "model", fresh / "model")
        write_whole(fresh / _ORIGIN, json.dumps(asdict(new), indent=1))
        shutil.rmtree(aside, ignore_errors=True)
        if (self.root / name).exists():
            (self.root / name).rename(aside)
        fresh.rename(self.root / name)
        shutil.rmtree(aside, ignore_errors=True)
        return new

    def find(self, name: str) -> NamedModel | None:
        """What a name stands for."""
        try:
            content = json.loads((self.root / name / _ORIGIN).read_text())
            return NamedModel(**content)
        except (OSError, ValueError, TypeError):
            return None

    def all(self) -> list[NamedModel]:
        """Every named model, in the order of their names."""
        folders = sorted(f for f in self.root.glob("*") if not f.name.startswith("."))
        return [m for m in (self.find(f.name) for f in folders) if m is not None]

    def remove(self, name: str) -> None:
        """Take a name away, with its files."""
        aside = self.root / f"{_ASIDE}old-{name}"
        shutil.rmtree(aside, ignore_errors=True)
        (self.root / name).rename(aside)
        shutil.rmtree(aside)
