"""Artifacts as they are listed."""

from __future__ import annotations

from algorithms.strict import Strict
from services.artifacts import Kind


class ArtifactView(Strict):
    path: str
    """Append it to ``/v1/jobs/{job_id}/artifacts/`` to fetch the file."""
    kind: Kind
    bytes: int
    modified_at: float
    """Unix seconds."""
    sha256: str | None
    """Null unless ``digests=true``: it takes reading every file."""


class ArtifactList(Strict):
    """In the order of their paths."""

    data: list[ArtifactView]
