"""The layout of a store: what it was written as."""

from __future__ import annotations


class UnknownLayout(RuntimeError):
    """The store was written by a newer version of Laconic."""
