"""What every backend writes the same way: cursors, text, and values as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, overload

from services.spec.kind import Spec, kind_of
from services.stores.lifecycle import CommandKind
from services.stores.protocol import BadCursor, Origin

_CURSOR: Final = re.compile(r"before-([1-9][0-9]{0,17})", re.ASCII)


def cursor_of(position: int) -> str:
    """The cursor of a page whose last job was the ``position``-th that the store took. It holds no
    id, so that it outlives the job."""
    return f"before-{position}"


def position_of(cursor: str) -> int:
    """What :func:`cursor_of` was given.

    Raises:
        BadCursor: the text is no cursor.
    """
    if (match := _CURSOR.fullmatch(cursor)) is None:
        raise BadCursor(cursor)
    return int(match[1])


@overload
def plain(text: str) -> str: ...
@overload
def plain(text: None) -> None: ...
def plain(text: str | None) -> str | None:
    """The text with what UTF-8 cannot hold (halves of surrogate pairs, as in file names that were
    no text) replaced by ``?``."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def creation_message(spec: Spec, preset: str | None, origin: Origin | None = None) -> str:
    """What the first event of a job says."""
    kind = kind_of(spec)
    what = "job" if kind == "training" else kind
    forked = f" from step {origin.step} of {origin.job}" if origin else ""
    return f"{what} {spec.name!r} created" + (f" from preset {preset}" if preset else "") + forked


def creation_data(origin: Origin | None) -> dict[str, Any]:
    """What goes with it."""
    return {"forked_from": asdict(origin)} if origin else {}


def command_message(kind: CommandKind, data: Mapping[str, Any]) -> str:
    """What the event of a command says."""
    return f"{kind} requested" + (f": {data['to']}" if "to" in data else "")


def origin_of(text: str | None) -> Origin | None:
    """Where a job goes on from, of the JSON that a store keeps."""
    return Origin(**json.loads(text)) if text else None


def to_json(value: Mapping[str, Any] | None) -> str:
    """A mapping as JSON; None is an empty one.

    JSON has no NaN and no infinity: null stands for what could not be measured.
    """
    return json.dumps(_finite(value or {}), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(str(k)): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
