"""The device that keeps what a driver writes from being written twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class JournalMark:
    """The place of a write in the journal of a job.

    A driver numbers what it writes and writes it in this order. The store keeps the newest mark of
    each job: a write whose mark is not above it is there already and is left out, however long ago
    its answer was lost.
    """

    attempt: int
    """The driver that first wrote it; a later attempt may hand it in."""
    number: int
    """From 1, in the order of that driver's writes."""
