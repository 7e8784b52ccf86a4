"""The life of a job as the brief gives it, state by state."""

from __future__ import annotations

import pytest

from services.stores.lifecycle import (
    ACTIVE,
    RESUMABLE,
    STATES,
    TERMINAL,
    TRANSITIONS,
    allowed,
    is_legal,
)

LEGAL = {
    ("queued", "starting"),
    ("starting", "running"),
    ("running", "succeeded"),
    *((s, e) for s in ("queued", "starting", "running") for e in ("failed", "cancelled")),
    *((s, "interrupted") for s in ("queued", "starting", "running")),
    ("interrupted", "queued"),
    ("failed", "queued"),
    ("interrupted", "cancelled"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("target", STATES)
def test_exactly_these_transitions_are_legal(state, target):
    expected = state == target or (state, target) in LEGAL
    assert is_legal(state, target) == expected


def test_succeeded_and_cancelled_are_never_left():
    assert {"succeeded", "cancelled"} == TERMINAL
    assert all(not TRANSITIONS[s] for s in TERMINAL)


def test_only_interrupted_and_failed_jobs_resume():
    assert {"interrupted", "failed"} == RESUMABLE


def test_success_needs_a_run():
    assert [s for s in STATES if "succeeded" in TRANSITIONS[s]] == ["running"]


def test_every_active_state_can_be_ended_from_outside():
    for state in ACTIVE:
        assert {"cancelled", "interrupted", "failed"} <= TRANSITIONS[state]


def test_allowed_lists_in_the_order_of_life():
    assert allowed("starting") == ("running", "failed", "cancelled", "interrupted")
