"""Idempotency keys on a Redis server."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from services.control.idempotency import (
    KEEP_SECONDS,
    Answer,
    Decision,
    Reservation,
    State,
    decide,
)
from services.control.redis_presence import PRESENT_SECONDS, RedisPresence
from services.stores.identity import new_suffix
from services.stores.redis_calls import RedisCalls


@dataclass(frozen=True)
class _Seen:
    """What there is of a key."""

    turn: str
    """Another one after each change; empty where the key is free."""
    known: Reservation | None
    is_held: bool

    def lives(self, _: str) -> bool:
        """Whether the holder, which is asked for, is there."""
        return self.is_held


class RedisIdempotency:
    """:class:`services.control.idempotency.IdempotencyStore` on a Redis server.

    What becomes of a request is decided here, by the same function as for SQLite; the script takes
    the decision only while the reservation is the one it was made on.
    """

    def __init__(self, calls: RedisCalls, present_seconds: float = PRESENT_SECONDS) -> None:
        """Nothing is asked yet.

        Args:
            calls: the server.
            present_seconds: after which silence a process counts as dead.
        """
        self._calls, self._present_seconds = calls, present_seconds
        self._entering = threading.Lock()
        self._presence: RedisPresence | None = None

    def begin(self, tenant: str, key: str, fingerprint: str, now: float) -> Decision:
        decision, turn = Decision("act", new_suffix()), ""
        # Whoever else is quicker shows in the next look, so this ends.
        while (seen := self._reserve(tenant, key, fingerprint, now, decision, turn)) is not None:
            decision = decide(seen.known, fingerprint, now, new_suffix(), seen.lives)
            if decision.kind != "act":
                break
            turn = seen.turn
        return decision

    def finish(self, tenant: str, key: str, answer: Answer) -> None:
        self._settle(
            tenant,
            key,
            "done",
            status=str(answer.status),
            headers=json.dumps(answer.headers),
            body=base64.b64encode(answer.body).decode(),
        )

    def reopen(self, tenant: str, key: str) -> None:
        self._settle(tenant, key, "open")

    def forget(self, tenant: str, key: str) -> None:
        self._calls.run("forget", token=True, name=_name(tenant, key))

    def leave(self) -> None:
        with self._entering:
            if self._presence is not None:
                self._presence.leave()
                self._presence = None

    def _reserve(
        self, tenant: str, key: str, print_: str, now: float, decision: Decision, turn: str
    ) -> _Seen | None:
        """Reserve it, if it is still what was seen of it; else return what it is."""
        since = now if decision.since is None else decision.since
        fields = {
            "turn": secrets.token_hex(8),
            "state": "in_flight",
            "fingerprint": print_,
            "resource": decision.resource,
            "holder": self._present().name,
            "began_at": repr(now),
            "first_at": repr(since),
        }
        answer = self._calls.run(
            "reserve",
            token=True,
            name=_name(tenant, key),
            turn=turn,
            fields=fields,
            oldest=repr(now - KEEP_SECONDS),
        )
        return _seen(json.loads(answer[0]), bool(answer[1])) if answer else None

    def _settle(self, tenant: str, key: str, state: State, **fields: str) -> None:
        self._calls.run(
            "settle", token=True, name=_name(tenant, key), fields={"state": state, **fields}
        )

    def _present(self) -> RedisPresence:
        """Commands that only look need none."""
        with self._entering:
            if self._presence is None:
                self._presence = RedisPresence(self._calls, self._present_seconds)
            return self._presence


def _name(tenant: str, key: str) -> str:
    """A tenant's name has no colon."""
    return f"{tenant}:{key}"


def _seen(found: Mapping[str, str], is_held: bool) -> _Seen:
    if not found:
        return _Seen("", None, is_held)
    return _Seen(f"{found['turn']} {found['state']}", _reservation(found), is_held)


def _reservation(found: Mapping[str, str]) -> Reservation:
    answer = None
    if found["state"] == "done":
        answer = Answer(
            int(found["status"]), json.loads(found["headers"]), base64.b64decode(found["body"])
        )
    return Reservation(
        fingerprint=found["fingerprint"],
        resource=found["resource"],
        state=cast(State, found["state"]),
        began_at=float(found["began_at"]),
        holder=found["holder"],
        answer=answer,
        first_at=float(found["first_at"]),
    )
