"""A question with its accepted answers."""

from __future__ import annotations

from dataclasses import dataclass

from services.verification.tolerance import Tolerance


@dataclass(frozen=True)
class Question:
    """One row of a data set."""

    id: str
    """The row's own id, else ``<name of the file or benchmark>-<line or row>``; unique in the
    data set."""
    question: str
    gold: tuple[str, ...]
    """Accepted answers, at least one."""
    tolerance: Tolerance | None = None
    """How far a number may lie from the accepted answer; None leaves it to the grading."""
