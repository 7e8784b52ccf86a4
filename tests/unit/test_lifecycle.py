"""The life of a job as the brief gives it, state by state."""

from __future__ import annotations

import pytest

from services.stores.lifecycle import (
    ACTIVE,
    COMMANDS,
    ENDED,
    MEANING,
    RESUMABLE,
    STATES,
    TERMINAL,
    TRANSITIONS,
    actions,
    after_command,
    allowed,
    is_legal,
    settled,
)

WITH_DRIVER = ("starting", "running", "pausing", "stopping")

LEGAL = {
    ("queued", "starting"),
    ("queued", "paused"),
    ("starting", "running"),
    *((s, "pausing") for s in ("starting", "running")),
    ("pausing", "paused"),
    *((s, "stopping") for s in ("starting", "running", "pausing")),
    *((s, "reconciling") for s in WITH_DRIVER),
    *(("reconciling", s) for s in (*WITH_DRIVER, "paused", "succeeded")),
    *((s, "succeeded") for s in ("running", "pausing", "stopping")),
    *(
        (s, end)
        for s in ("queued", *WITH_DRIVER, "reconciling")
        for end in ("failed", "cancelled", "interrupted")
    ),
    *((s, "queued") for s in ("paused", "interrupted", "failed")),
    *((s, "cancelled") for s in ("paused", "interrupted")),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("target", STATES)
def test_exactly_these_transitions_are_legal(state, target):
    expected = state == target or (state, target) in LEGAL
    assert is_legal(state, target) == expected


def test_every_state_has_a_meaning_and_a_row():
    assert tuple(MEANING) == tuple(TRANSITIONS) == STATES


def test_succeeded_and_cancelled_are_never_left():
    assert {"succeeded", "cancelled"} == TERMINAL
    assert TERMINAL | {"failed"} == ENDED


def test_jobs_that_have_stopped_resume():
    assert {"paused", "interrupted", "failed"} == RESUMABLE


def test_success_needs_a_run():
    """A queued or starting job has trained nothing; one that drains may be at its last step."""
    before = [s for s in STATES if "succeeded" in TRANSITIONS[s]]
    assert before == ["running", "pausing", "stopping", "reconciling"]


def test_every_active_state_can_be_ended_from_outside():
    for state in ACTIVE:
        assert {"cancelled", "interrupted", "failed"} <= TRANSITIONS[state]


def test_a_job_out_of_sight_may_go_wherever_one_in_sight_may():
    assert {
        target for held in WITH_DRIVER for target in allowed("reconciling", held)
    } == TRANSITIONS["reconciling"]


@pytest.mark.parametrize("held", WITH_DRIVER)
def test_out_of_sight_changes_nothing_about_what_may_follow(held):
    for target in STATES:
        if target == "reconciling":
            continue
        assert is_legal("reconciling", target, held) == is_legal(held, target)


def test_a_job_is_never_put_out_of_sight_before_it_has_a_driver_or_after():
    assert {s for s in STATES if "reconciling" in TRANSITIONS[s]} == set(WITH_DRIVER)


def test_allowed_lists_in_the_order_of_life():
    assert allowed("starting") == (
        "running",
        "pausing",
        "stopping",
        "reconciling",
        "failed",
        "cancelled",
        "interrupted",
    )


ACTIONS = {
    "queued": ("pause", "cancel", "stage"),
    "starting": ("pause", "cancel", "stage"),
    "running": ("pause", "cancel", "stage"),
    "pausing": ("cancel", "stage"),
    "paused": ("resume", "cancel"),
    "stopping": ("cancel",),
    "succeeded": (),
    "failed": ("resume",),
    "cancelled": (),
    "interrupted": ("resume", "cancel"),
}


@pytest.mark.parametrize("state", ACTIONS)
def test_what_may_be_asked(state):
    assert actions(state) == ACTIONS[state]
    if state in WITH_DRIVER:
        assert actions("reconciling", state) == ACTIONS[state]


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_leads_only_where_a_job_may_go(kind):
    for state in COMMANDS[kind]:
        assert is_legal(state, after_command(kind, state))
        assert after_command(kind, state) in ACTIVE


def test_commands_go_to_jobs_that_have_or_will_have_a_driver():
    for states in COMMANDS.values():
        assert states <= ACTIVE - {"reconciling"}
    assert COMMANDS["cancel"] == ACTIVE - {"reconciling"}


def test_a_pause_under_way_satisfies_a_stop_but_not_a_cancel():
    assert after_command("stop", "pausing") == "pausing"
    assert after_command("cancel", "pausing") == "stopping"


def test_only_ends_that_could_be_resumed_give_way_to_a_cancel():
    for state in STATES:
        expected = "cancelled" if state in ("paused", "interrupted") else state
        assert settled(state, cancelling=True) == expected
        assert settled(state, cancelling=False) == state
