"""The script that does every write of the Redis job store, the lifecycle handed to it as data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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

_BODY: Final = (Path(__file__).parent / "job_store.lua").read_text()

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

SCRIPT: Final = "".join(f"local {name}={_lua(table)}\n" for name, table in _TABLES.items()) + _BODY
DIGEST: Final = hashlib.sha1(SCRIPT.encode()).hexdigest()
"""What Redis knows the script by, once it has seen it."""
