"""Checkpoints as they are listed."""

from __future__ import annotations

from algorithms.strict import Strict


class CheckpointView(Strict):
    """A checkpoint without its files."""

    step: int
    stage: str | None
    """Label of the stage it was written in."""
    created_at: float
    """Unix seconds."""
    bytes: int
    """Of all files together."""
    pinned: bool
    """Stays whatever newer ones there are."""
    policy_version: int | None


class CheckpointFile(Strict):
    path: str
    bytes: int
    sha256: str


class CheckpointManifest(CheckpointView):
    """A checkpoint with its files."""

    files: list[CheckpointFile]


class CheckpointList(Strict):
    """The newest first."""

    data: list[CheckpointView]
