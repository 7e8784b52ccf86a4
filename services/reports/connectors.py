"""Connectors: the words that open one redundant re-check after another (paper, section 1)."""

from __future__ import annotations

import re
from typing import Final

from services.tiny_reasoner.traces import CONNECTORS

_PATTERN: Final = re.compile(rf"\b({'|'.join(CONNECTORS)})\b")


def count_connectors(text: str) -> int:
    """Return how often a connector stands in ``text`` as a capitalised word of its own."""
    return len(_PATTERN.findall(text))


def split_connectors(text: str) -> list[tuple[str, bool]]:
    """Cut ``text`` into pieces that join to it again, each with whether it is a connector."""
    pieces = _PATTERN.split(text)
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]
