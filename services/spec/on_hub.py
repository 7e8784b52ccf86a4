"""Parts of a specification that may name something on the Hugging Face hub in place of a path."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from algorithms.strict import Strict
from services.hub_source import COMMIT, HubSource, file_objection, repo_objection


class OnHub(Strict):
    """A path, or a repository at one commit."""

    KIND: ClassVar[Literal["model", "dataset"]] = "model"

    path: str = ""
    hub: str | None = Field(default=None, max_length=200)
    """Repository of the Hugging Face hub, ``organisation/name``, in place of ``path``; one that the
    operator has named in ``LACONIC_HUB``. Needs ``revision``."""
    revision: str | None = Field(default=None, max_length=100)
    """Commit of the repository: the full hash, 40 hexadecimal digits."""

    @model_validator(mode="after")
    def _path_or_hub(self) -> OnHub:
        if self.hub is None:
            if not self.path:
                raise ValueError("path: this field is required; add it, or hub and revision")
            if self.revision is not None:
                raise ValueError("revision is of a repository on the hub; add hub, or remove it")
            return self
        if wrong := repo_objection(self.hub):
            raise ValueError(f"hub: {wrong}")
        if self.revision is None or not COMMIT.fullmatch(self.revision):
            raise ValueError(
                f"revision {self.revision!r} is not the full hash of a commit: branches and tags "
                "move; give the 40 hexadecimal digits of one in the repository's history"
            )
        return self

    @property
    def on_hub(self) -> HubSource | None:
        """What it names on the hub, if it does."""
        if self.hub is None or self.revision is None:
            return None
        return HubSource(self.KIND, self.hub, self.revision)


class FileOnHub(OnHub):
    """A path, or a file of a data set at one commit."""

    KIND = "dataset"

    file: str | None = Field(default=None, max_length=300)
    """With ``hub``: the file in the repository (``data/train.parquet``)."""

    @model_validator(mode="after")
    def _file_of_hub(self) -> FileOnHub:
        if self.hub is None and self.file is not None:
            raise ValueError("file is of a repository on the hub; add hub, or use path")
        if self.hub is not None and self.file is None:
            raise ValueError("file is missing; name the file in the repository")
        if self.file is not None and (wrong := file_objection(self.file)):
            raise ValueError(f"file: {wrong}")
        return self

    @property
    def on_hub(self) -> HubSource | None:
        if self.hub is None or self.revision is None:
            return None
        return HubSource("dataset", self.hub, self.revision, self.file)
