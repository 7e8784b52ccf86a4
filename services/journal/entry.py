"""One write of a driver: an event or the record of a step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from services.stores.encoding import to_json
from services.stores.journal_mark import JournalMark

EntryKind = Literal["event", "metrics"]


@dataclass(frozen=True)
class Entry:
    """What is written, and its place in the journal."""

    mark: JournalMark
    kind: EntryKind
    body: dict[str, Any]
    """Of an event ``type``, ``message``, ``level``, ``data``, ``author``, ``reason`` and its time
    ``at``; of a step record ``step`` and ``record``."""

    def line(self) -> bytes:
        """One line of JSON, its end included."""
        fields = {"attempt": self.mark.attempt, "number": self.mark.number, "kind": self.kind}
        return to_json({**fields, "body": self.body}).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Entry:
        """What :meth:`line` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(line)
            mark = JournalMark(found["attempt"], found["number"])
            return cls(mark, found["kind"], found["body"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no entry of a journal: {line[:80]!r}") from error


def is_held(entry: Entry, newest: JournalMark | None, step: int) -> bool:
    """Whether a checkpoint holds what an entry tells of, so that nobody will tell of it again.

    Args:
        entry: of an attempt that ended.
        newest: the newest mark when the checkpoint's state was taken; None where there is none.
        step: of the checkpoint. The word that it was written comes after its state was taken.
    """
    if newest is None:
        return False
    told = entry.kind == "event" and entry.body["type"] == "checkpoint"
    return entry.mark <= newest or (told and entry.body["data"].get("step") == step)
