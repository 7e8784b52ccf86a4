"""Logs of workers and pieces of them."""

from __future__ import annotations

from algorithms.strict import Strict


class LogSource(Strict):
    """The log of one worker, over all attempts."""

    role: str
    rank: int
    bytes: int
    modified_at: float
    """Unix seconds."""


class LogSources(Strict):
    data: list[LogSource]


class LogPiece(Strict):
    """A part of a log."""

    text: str
    start: int
    """In bytes, from the beginning of the log."""
    next_start: int
    """Give it as ``start`` to go on behind this piece."""
    bytes: int
    """Of the whole log now."""
