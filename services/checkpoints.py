"""Checkpoints on disk: written beside the last one, sealed by a manifest of digests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MANIFEST = "manifest.json"
_STATE = "driver.json"
_REPLACED = ".replaced-"
_WRITING = ".writing-"
_PINS = ".pins"
"""Folder with an empty file for each pinned step: pinning and pruning need no lock."""


@dataclass(frozen=True)
class Checkpoint:
    """A sealed checkpoint."""

    folder: Path
    step: int
    state: dict[str, Any]
    """What the driver saved: stage machine, prompt stream, replay accounting, policy version."""

    @property
    def model(self) -> Path:
        """Hugging Face folder of the policy."""
        return self.folder / "model"


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint holds, as its manifest says."""

    folder: Path
    step: int
    created_at: float
    """Unix seconds."""
    sha256: dict[str, str]
    """Digest of each file, by its path within the folder."""
    sizes: dict[str, int]
    """Bytes, likewise."""
    state: dict[str, Any]
    """What the driver saved."""


class DamagedCheckpoint(Exception):
    """A checkpoint is not what it was when it was sealed."""

    def __init__(self, step: int, problem: str) -> None:
        super().__init__(f"checkpoint {step} cannot be used: {problem}")


class CheckpointStore:
    """The checkpoints of one job, under one folder.

    A checkpoint exists once its folder carries the final name, which happens by one rename after
    every file and the manifest are written. Anything else is debris and is ignored.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, step: int) -> Path:
        """Return an empty folder to write the checkpoint of ``step`` into."""
        folder = self.root / f"{_WRITING}{step:06d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def seal(self, folder: Path, step: int, state: dict[str, Any]) -> Checkpoint:
        """Write the driver's state and the manifest, then give the folder its final name.

        When this returns, all of it is on disk.
        """
        (folder / _STATE).write_text(json.dumps(state, indent=1, sort_keys=True))
        digests = {str(p.relative_to(folder)): _sha256(p) for p in _files(folder)}
        manifest = json.dumps({"step": step, "sha256": digests}, indent=1, sort_keys=True)
        (folder / _MANIFEST).write_text(manifest)
        for path in [*folder.rglob("*"), folder]:
            _sync(path)
        final = self._folder(step)
        # The same step may stand there already: it is moved aside, not removed, until the new
        # one has its name.
        aside = self.root / f"{_REPLACED}{step:06d}"
        shutil.rmtree(aside, ignore_errors=True)
        if final.exists():
            final.rename(aside)
        folder.rename(final)
        _sync(self.root)
        shutil.rmtree(aside, ignore_errors=True)
        return Checkpoint(final, step, state)

    def adopt(self, source: CheckpointStore, step: int, state: dict[str, Any]) -> Checkpoint:
        """Make a checkpoint of another job's, by hard link where the disk allows, with a driver's
        state of its own.

        Raises:
            DamagedCheckpoint: a file is missing, or is not the one that the manifest names.
        """
        manifest = source.manifest(step)
        if manifest is None:
            raise DamagedCheckpoint(step, "it is not there, or has no manifest that can be read")
        folder = self.begin(step)
        try:
            for name in manifest.sha256.keys() - {_STATE}:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _place(manifest.folder / name, target)
        except FileNotFoundError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise DamagedCheckpoint(step, f"a file has gone ({error})") from error
        # What is sealed is what was placed: one look at the files serves both.
        adopted = self.seal(folder, step, state)
        found = self.manifest(step)
        assert found is not None
        wrong = [
            n for n in manifest.sha256 if n != _STATE and found.sha256[n] != manifest.sha256[n]
        ]
        if wrong:
            self.remove(step)
            raise DamagedCheckpoint(step, f"{wrong[0]} does not have the digest of the manifest")
        return adopted

    def recover(self) -> None:
        """Clear up after an attempt that was killed: what it was writing goes, and a checkpoint
        whose successor of the same step never got its name has its own back."""
        for debris in self.root.glob(f"{_WRITING}*"):
            shutil.rmtree(debris, ignore_errors=True)
        for aside in self.root.glob(f"{_REPLACED}*"):
            final = self.root / f"step-{aside.name.removeprefix(_REPLACED)}"
            if not final.exists():
                aside.rename(final)

    def latest(self) -> tuple[Checkpoint | None, list[str]]:
        """Return the newest intact checkpoint, and why newer ones were passed over."""
        passed: list[str] = []
        for folder in sorted(self.root.glob("step-*"), reverse=True):
            if problem := _problem(folder):
                passed.append(f"{folder.name}: {problem}")
                continue
            return _read(folder), passed
        return None, passed

    def at(self, step: int) -> tuple[Checkpoint | None, str]:
        """Return the checkpoint of a step, or None and what is wrong with it."""
        folder = self._folder(step)
        if problem := _problem(folder):
            return None, f"{folder.name}: {problem}"
        return _read(folder), ""

    def set_aside(self, problems: Sequence[str]) -> None:
        """Rename checkpoints that :meth:`latest` passed over, so that pruning does not keep them
        in place of intact ones."""
        for name in (p.partition(":")[0] for p in problems):
            target = self.root / f"damaged-{name}"
            shutil.rmtree(target, ignore_errors=True)
            (self.root / name).rename(target)

    def prune(self, keep: int, steps: Collection[int] = ()) -> list[str]:
        """Remove all but the newest ``keep`` checkpoints, those of ``steps`` and those that are
        pinned; return the names of those removed."""
        wanted = {self._folder(step) for step in {*steps, *self.pinned()}}
        older = sorted(self.root.glob("step-*"), reverse=True)[keep:]
        stale = [folder for folder in older if folder not in wanted]
        for folder in stale:
            shutil.rmtree(folder)
        return [f.name for f in stale]

    # -- what people do with them -------------------------------------------------------------

    def steps(self) -> list[int]:
        """Steps there is a checkpoint of, the newest first."""
        return sorted(int(f.name.removeprefix("step-")) for f in self.root.glob("step-*"))[::-1]

    def manifest(self, step: int) -> Manifest | None:
        """What a checkpoint holds; None where there is none, or its manifest cannot be read. The
        files are not read."""
        folder = self._folder(step)
        try:
            content = json.loads((folder / _MANIFEST).read_text())
            sizes = {name: (folder / name).stat().st_size for name in content["sha256"]}
            state = json.loads((folder / "driver.json").read_text())
            created = (folder / _MANIFEST).stat().st_mtime
        except (OSError, ValueError, KeyError):
            return None
        return Manifest(folder, step, created, content["sha256"], sizes, state)

    def forget_after(self, step: int) -> list[int]:
        """Take the checkpoints after a step out of the line, the newest first, so that the one
        before is the newest at any time; return their steps. One that is pinned stays on disk as
        ``aside-step-N``."""
        pinned, gone = self.pinned(), [s for s in self.steps() if s > step]
        for later in gone:
            if later in pinned:
                aside = self.root / f"aside-{self._folder(later).name}"
                shutil.rmtree(aside, ignore_errors=True)
                self._folder(later).rename(aside)
                self.unpin(later)
            else:
                self.remove(later)
        return gone

    def pinned(self) -> frozenset[int]:
        """Steps whose checkpoints stay until they are let go."""
        return frozenset(int(f.name) for f in self.root.glob(f"{_PINS}/*") if f.name.isdigit())

    def pin(self, step: int) -> None:
        """Keep a checkpoint, whatever newer ones there are."""
        (self.root / _PINS).mkdir(exist_ok=True)
        (self.root / _PINS / str(step)).touch()

    def unpin(self, step: int) -> None:
        """Let go of a checkpoint; the next one that is written may take it away."""
        (self.root / _PINS / str(step)).unlink(missing_ok=True)

    def remove(self, step: int) -> None:
        """Take a checkpoint away; nobody sees half of it."""
        aside = self.root / f"{_WRITING}gone-{step:06d}"
        shutil.rmtree(aside, ignore_errors=True)
        self._folder(step).rename(aside)
        shutil.rmtree(aside)

    def _folder(self, step: int) -> Path:
        return self.root / f"step-{step:06d}"


def link_tree(source: Path, target: Path) -> None:
    """Make ``target`` hold the files of ``source``, by hard link where the disk allows."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)

    shutil.copytree(source, target, copy_function=_place)


def _place(source: str | Path, target: str | Path) -> str:
    """Put a file at another place, by hard link where the disk allows."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return str(target)


def _read(folder: Path) -> Checkpoint:
    manifest = json.loads((folder / _MANIFEST).read_text())
    state = json.loads((folder / "driver.json").read_text())
    return Checkpoint(folder, manifest["step"], state)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != _MANIFEST)


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _problem(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None."""
    try:
        digests = json.loads((folder / _MANIFEST).read_text())["sha256"]
    except (OSError, ValueError, KeyError) as e:
        return f"manifest unreadable ({e})"
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if _sha256(path) != digest:
            return f"{name} does not have the digest of the manifest"
    return None
