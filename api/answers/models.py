"""Named models as they are listed."""

from __future__ import annotations

from pydantic import Field

from algorithms.strict import Strict


class Promote(Strict):
    """Which checkpoint gets the name."""

    job: str = Field(min_length=1, max_length=64)
    step: int = Field(ge=0, lt=10**9)


class ModelFile(Strict):
    path: str
    bytes: int
    sha256: str


class Model(Strict):
    """A name and what it stands for."""

    name: str
    job: str
    step: int
    promoted_at: float
    """Unix seconds."""
    path: str
    """Give it as ``model.path`` of a job."""
    files: list[ModelFile]


class ModelList(Strict):
    """In the order of their names."""

    data: list[Model]
