"""What the replay ledger keeps and hands out: groups, leases, acknowledgements, errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

TRAIN = "train"
"""Disposition of a sample that is to be trained on; any other one is the reason it is not."""

State = Literal["pending", "generating", "verifying", "ready", "leased"]


class LedgerError(RuntimeError):
    """A caller asked for a move the ledger does not allow; nothing has changed."""


class UnknownGroup(LedgerError):
    """No group of this id was ever admitted."""


class IllegalMove(LedgerError):
    """The group is not in a state from which this move starts."""


class LeaseLost(LedgerError):
    """The lease expired or was released, or was never given."""


@dataclass(frozen=True)
class Lease:
    """The right of one consumer to train on some groups until ``expires_at``."""

    id: str
    consumer: str
    groups: tuple[str, ...]
    expires_at: float


@dataclass(frozen=True)
class Acknowledgement:
    """What an acknowledgement did, by group id."""

    trained: tuple[str, ...]
    """Trained by this very call."""
    repeated: tuple[str, ...]
    """Acknowledged before under the same lease: nothing happened."""
    refused: tuple[str, ...]
    """Ended otherwise, or given to another lease since: nothing happened."""


@dataclass
class Group:
    """A group that has not ended."""

    size: int
    stage: str
    version: int
    state: State = "pending"
    trajectory_ref: Any = None
    score_ref: Any = None
    dispositions: tuple[str, ...] = ()
    lease: str | None = None
    """The newest lease that held it; it may have expired since."""

    @property
    def counted(self) -> int:
        """Samples of it that stand in ``generated``."""
        return self.size if self.state in ("verifying", "ready", "leased") else 0

    @property
    def dropped(self) -> Counter[str]:
        """Samples of it that scoring has excluded, by reason."""
        return Counter(d for d in self.dispositions if d != TRAIN)


@dataclass(frozen=True)
class End:
    """How a group ended; kept so that nothing is admitted or trained a second time."""

    reason: str
    """:data:`TRAIN` or an exclusion reason."""
    size: int
    counted: bool
    """Whether its samples were ever generated."""
    lease: str | None
