"""Scripts of the Redis stores: the frame with the operations of one store in it. That of the job
store has the lifecycle handed to it as data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.stores.lifecycle import (
    ACTIVE,
    COMMANDS,
    ENDED,
    RESUMABLE,
    STATES,
    TRANSITIONS,
    after_command,
    settled,
)
from services.stores.protocol import STATE_LEVELS

_FOLDER: Final = Path(__file__).parent
_PLACE: Final = "--[[ operations ]]\n"

Table = Mapping[str, "str | bool | Table"]


def _lua(value: str | bool | Table) -> str:
    """A value as Lua writes it. Keys and strings are words: nothing in them needs escaping."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}'"
    return "{" + ",".join(f"['{key}']={_lua(item)}" for key, item in value.items()) + "}"


def _set(states: frozenset[str]) -> Table:
    return dict.fromkeys(sorted(states), True)


_TABLES: Final[dict[str, Table]] = {
    "ACTIVE": _set(ACTIVE),
    "ENDED": _set(ENDED),
    "RESUMABLE": _set(RESUMABLE),
    "LEGAL": {state: _set(targets) for state, targets in TRANSITIONS.items()},
    "AFTER": {
        kind: {state: after_command(kind, state) for state in STATES if state in states}
        for kind, states in COMMANDS.items()
    },
    "SETTLED": {state: settled(state, cancelling=True) for state in STATES},
    "LEVELS": {str(state): level for state, level in STATE_LEVELS.items()},
}


@dataclass(frozen=True)
class Script:
    """A text in Lua, and what Redis knows it by once it has seen it."""

    text: str
    digest: str


def framed(operations: str) -> Script:
    """The script of these operations (``frame.lua`` says what they are given and return)."""
    before, after = (_FOLDER / "frame.lua").read_text().split(_PLACE)
    text = before + operations + after
    return Script(text, hashlib.sha1(text.encode()).hexdigest())


JOBS: Final = framed(
    "".join(f"local {name}={_lua(table)}\n" for name, table in _TABLES.items())
    + (_FOLDER / "job_store.lua").read_text()
)
"""Every write of the job store, and the list of jobs."""
