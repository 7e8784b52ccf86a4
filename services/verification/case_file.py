"""A file of cases, one JSON object a line, and the file of their verdicts."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from algorithms.trajectory import Judgement
from services.atomic_write import replacing
from services.verification.case import Case
from services.verification.policy import Policy
from services.verification.pool import VerificationPool
from services.verification.tolerance import Tolerance

Progress = Callable[[int, int], None]
"""Is told after each line how many lines and bytes of the input were read."""

MAX_LINE = 16 << 20
"""Longest line taken in, in bytes."""

Place = dict[str, Any]
"""What a line of verdicts begins with: ``{"id": ...}``, or ``{"line": ...}`` without a usable
id."""


class BadLine(ValueError):
    """A line that is no case; the message says why and what to do."""


class _KnownIds:
    """Ids and the lines they stand in, in a temporary file: there may be millions."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("")
        self._store.execute("PRAGMA synchronous = OFF")
        self._store.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def first_line(self, identity: str, line: int) -> int:
        """Return the line in which an id stood first; this one, if it is new."""
        insert = "INSERT OR IGNORE INTO ids VALUES (?, ?)"
        if self._store.execute(insert, (identity, line)).rowcount:
            return line
        found = self._store.execute("SELECT line FROM ids WHERE id = ?", (identity,))
        return int(found.fetchone()[0])

    def close(self) -> None:
        self._store.close()


def verify_file(
    source: Path,
    target: Path,
    pool: VerificationPool,
    policy: Policy,
    progress: Progress = lambda _lines, _bytes: None,
) -> Counter[str]:
    """Judge the cases of a file and write one line for each, in their order.

    A case has ``id`` (a text or a whole number), ``gold`` (a text or a list of them), ``output``,
    and may have ``tolerance`` (``{"absolute": ..., "relative": ...}``); other fields are ignored. A
    verdict has ``id``, ``verdict``, ``reason`` and ``seconds``. A line that is no case gets the
    verdict ``error`` with what is wrong as its reason, under its id, or under its number as
    ``line`` if it has none. Memory does not grow with the file.

    Returns:
        How often each verdict was given.

    Raises:
        OSError: a file cannot be read or written; what was at ``target`` is as it was.
        PoolClosed, PoolStalled: as :meth:`VerificationPool.stream`.
    """
    places: deque[Place] = deque()
    counts: Counter[str] = Counter()
    known = _KnownIds()
    try:
        with source.open("rb") as lines, replacing(target) as verdicts:
            found = _cases(lines, places, known, policy, progress)
            for judgement in pool.stream(found):
                counts[judgement.verdict] += 1
                record = {
                    **places.popleft(),
                    "verdict": judgement.verdict,
                    "reason": judgement.reason,
                    "seconds": round(judgement.seconds, 6),
                }
                verdicts.write(json.dumps(record).encode() + b"\n")
    finally:
        known.close()
    return counts


def _cases(
    lines: IO[bytes],
    places: deque[Place],
    known: _KnownIds,
    policy: Policy,
    progress: Progress,
) -> Iterator[Case | Judgement]:
    """Yield what stands in each line, and put its place at the end of ``places``."""
    number = taken = 0
    while raw := lines.readline(MAX_LINE):
        number += 1
        taken += len(raw)
        place: Place = {"line": number}
        case: Case | Judgement | None
        try:
            if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
                taken += _skip_line(lines)
                raise BadLine(f"longer than {MAX_LINE >> 20} MiB; shorten the output")
            case = _case(raw, number, place, known, policy)
        except BadLine as error:
            case = Judgement("error", str(error), False)
        progress(number, taken)
        if case is not None:
            places.append(place)
            yield case


def _skip_line(lines: IO[bytes]) -> int:
    skipped = 0
    while raw := lines.readline(MAX_LINE):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped


def _case(raw: bytes, number: int, place: Place, known: _KnownIds, policy: Policy) -> Case | None:
    """Read a line; None if it is blank. ``place`` takes the id as soon as it is known."""
    try:
        # A byte-order mark is what some editors put before UTF-8.
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        raise BadLine("not UTF-8 text; save the file as UTF-8") from error
    if not text:
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON ({error}); each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise BadLine("not a JSON object; each line must be one")
    identity = row.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise BadLine(_objection(row, "id", "a text or a whole number"))
    first = known.first_line(json.dumps(identity), number)
    place.clear()
    place["id"] = identity
    if first != number:
        place["line"] = number
        raise BadLine(f"the id already stands in line {first}; give each case its own")
    return Case(_golds(row), _output(row), policy, _tolerance(row))


def _golds(row: dict[str, Any]) -> tuple[str, ...]:
    given = row.get("gold")
    golds = given if isinstance(given, list) else [given]
    if not golds or not all(isinstance(g, str) and g.strip() for g in golds):
        raise BadLine(_objection(row, "gold", "a text or a list of texts, none of them empty"))
    return tuple(golds)


def _output(row: dict[str, Any]) -> str:
    output = row.get("output")
    if not isinstance(output, str):
        raise BadLine(_objection(row, "output", "the whole response as text"))
    return output


def _tolerance(row: dict[str, Any]) -> Tolerance | None:
    bounds = row.get("tolerance")
    if bounds is None:
        return None
    try:
        return Tolerance(**bounds)
    except (TypeError, ValueError) as error:
        wanted = 'an object with "absolute" or "relative", numbers from 0 on'
        raise BadLine(_objection(row, "tolerance", wanted)) from error


def _objection(row: dict[str, Any], field: str, wanted: str) -> str:
    if field not in row:
        return f"the field {field!r} is missing; it must be {wanted}"
    value = row[field]
    empty = value in (None, "", []) or (isinstance(value, str) and not value.strip())
    return f"the field {field!r} is {'empty' if empty else 'not usable'}; it must be {wanted}"
