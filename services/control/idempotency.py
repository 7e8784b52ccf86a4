"""Requests that may be sent twice and act once.

A key is *reserved* before the request acts, together with the id that whatever it creates will get.
If the answer is lost, or the process dies in between, the same request finds its reservation again
and creates under the same id, which the stores take once. So an answer that was acknowledged is
repeated, and one that was not is given once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

HEADER: Final = "Idempotency-Key"
KEEP_SECONDS: Final = 24 * 3600.0
"""How long an answer can be had again."""
LEASE_SECONDS: Final = 120.0
"""A request that has not been answered for this long is not being answered any more, even if the
process that took it lives."""

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

State = Literal["in_flight", "open", "done"]
"""``in_flight``: being answered. ``open``: it failed, perhaps after it had acted. ``done``: there
is an answer."""


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reservation:
    """One key of one tenant. Times are Unix seconds."""

    fingerprint: str
    resource: str
    """What the id of anything created ends in."""
    state: State
    began_at: float
    holder: str
    """The process that answers, or did when it died."""
    answer: Answer | None = None
    first_at: float = 0.0
    """When it was first begun."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a request that carries a key."""

    kind: Literal["act", "replay", "in_flight", "mismatch"]
    resource: str = ""
    answer: Answer | None = None
    since: float | None = None
    """Of a request that may have acted before: when it was first begun."""


class IdempotencyStore(Protocol):
    """Where reservations are kept. Safe from several processes and threads."""

    def begin(self, tenant: str, key: str, fingerprint: str, now: float) -> Decision:
        """Reserve the key, or say what to do instead, in one step."""
        ...

    def finish(self, tenant: str, key: str, answer: Answer) -> None:
        """Keep the answer."""
        ...

    def reopen(self, tenant: str, key: str) -> None:
        """The request failed and may have acted: the same one may try again, another may not."""
        ...

    def forget(self, tenant: str, key: str) -> None:
        """The request was refused and has not acted: the key is free."""
        ...

    def leave(self) -> None:
        """This process answers nothing any more: what it had in flight others may take up. The end
        of a process, however it comes, says the same."""
        ...


def decide(
    known: Reservation | None,
    fingerprint: str,
    now: float,
    resource: str,
    lives: Callable[[str], bool],
) -> Decision:
    """What becomes of a request.

    Args:
        known: what is known of its key.
        fingerprint: of the request.
        now: Unix seconds.
        resource: a fresh one, for a new reservation.
        lives: whether a holder is still there.
    """
    if known is None or now - known.began_at > KEEP_SECONDS:
        return Decision("act", resource)
    if known.fingerprint != fingerprint:
        return Decision("mismatch")
    if known.state == "done":
        return Decision("replay", answer=known.answer)
    is_recent = now - known.began_at <= LEASE_SECONDS
    if known.state == "in_flight" and is_recent and lives(known.holder):
        return Decision("in_flight")
    return Decision("act", known.resource, since=known.first_at)


def is_key(text: str) -> bool:
    """Whether a header can be taken as a key: 1 to 255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


def fingerprint(method: str, target: str, body: bytes) -> str:
    """Digest of what is asked. The order of the fields and white space in a JSON body do not count.

    Args:
        method: of the request.
        target: path and query.
        body: as it was sent.
    """
    # What is not JSON counts as it is.
    with contextlib.suppress(ValueError):
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    return hashlib.sha256(b"\0".join([method.encode(), target.encode(), body])).hexdigest()
