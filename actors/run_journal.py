"""What a run tells the outside and hears from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from services.stores.protocol import EventLevel


class RunJournal(Protocol):
    """The outside of a run; the driver is one."""

    def event(
        self, kind: str, message: str, data: dict[str, Any], level: EventLevel = "info"
    ) -> None: ...

    def metrics(self, step: int, record: dict[str, Any]) -> None: ...

    def progress(self, progress: dict[str, Any]) -> None: ...

    def poll_commands(self) -> None: ...

    def position(self) -> dict[str, int]:
        """How far the journal and the commands are."""
        ...

    def saved(self, position: Mapping[str, int]) -> None:
        """There is a checkpoint with this position."""
        ...
