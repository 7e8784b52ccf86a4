"""What becomes of a request that carries an idempotency key."""

from __future__ import annotations

import pytest

from services.control.idempotency import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    Answer,
    Reservation,
    decide,
    fingerprint,
    is_key,
)

ANSWER = Answer(201, {"location": "/v1/jobs/job-x"}, b"{}")


def known(state, began_at=100.0, answer=None, holder="alive"):
    return Reservation("print", "old", state, began_at, holder, answer)


@pytest.mark.parametrize(
    ("reservation", "print_", "now", "kind", "resource"),
    [
        (None, "print", 100, "act", "new"),
        (known("in_flight"), "print", 100 + LEASE_SECONDS, "in_flight", ""),
        # Whoever was answering is gone; what it may have created is found under its id.
        (known("in_flight"), "print", 101 + LEASE_SECONDS, "act", "old"),
        (known("in_flight", holder="dead"), "print", 100, "act", "old"),
        (known("in_flight", holder="dead"), "other", 100, "mismatch", ""),
        (known("open"), "print", 101, "act", "old"),
        (known("open"), "other", 101, "mismatch", ""),
        (known("in_flight"), "other", 101, "mismatch", ""),
        (known("done", answer=ANSWER), "other", 101, "mismatch", ""),
        (known("done", answer=ANSWER), "print", 101, "replay", ""),
        (known("done", answer=ANSWER), "other", 101 + KEEP_SECONDS, "act", "new"),
    ],
)
def test_every_case(reservation, print_, now, kind, resource):
    decision = decide(reservation, print_, now, "new", lambda holder: holder == "alive")
    assert (decision.kind, decision.resource) == (kind, resource)
    assert (decision.answer == ANSWER) == (kind == "replay")


def test_the_fingerprint_is_of_what_is_asked_not_of_how_it_is_written():
    base = fingerprint("POST", "/v1/jobs?", b'{"a": 1, "b": [1, 2]}')
    assert fingerprint("POST", "/v1/jobs?", b'{"b":[1,2],"a":1}') == base
    others = [
        fingerprint("POST", "/v1/jobs?", b'{"a": 1, "b": [2, 1]}'),
        fingerprint("PUT", "/v1/jobs?", b'{"a": 1, "b": [1, 2]}'),
        fingerprint("POST", "/v1/jobs?x=1", b'{"a": 1, "b": [1, 2]}'),
        fingerprint("POST", "/v1/jobs?", b"not json"),
        fingerprint("POST", "/v1/jobs?", b""),
    ]
    assert len({base, *others}) == 6


def test_what_can_be_a_key():
    assert is_key("a")
    assert is_key("~" * 255)
    assert not any(is_key(k) for k in ("", "a b", "é", "~" * 256, "a\n"))
