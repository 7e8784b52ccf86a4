"""Wishes for jobs that move on between the look at them and the act."""

from __future__ import annotations

import pytest

from api.job_actions import cancel_job, pause_job
from services.stores.protocol import ChangedMeanwhile, IllegalTransition


def start(plane, job):
    plane.store.set_state(job, "starting", attempt=1)
    plane.store.set_state(job, "running", attempt=1)


@pytest.mark.parametrize(("wish", "state"), [(cancel_job, "stopping"), (pause_job, "pausing")])
def test_a_job_that_started_meanwhile_is_asked_not_settled(plane, wish, state):
    """Its driver is at work: the end on record would be none."""
    job = plane.launched()
    seen = plane.store.get_job(job)
    start(plane, job)
    assert wish(plane.context, seen, author="a", reason="b").state == state
    assert [c.kind for c in plane.store.take_commands(job, 1)] == [wish.__name__[:-4]]


def test_a_pause_under_way_is_left_to_its_driver(plane):
    job = plane.launched()
    seen = plane.store.get_job(job)
    start(plane, job)
    plane.store.send_command(job, "pause", {})
    assert pause_job(plane.context, seen).state == "pausing"
    assert len(plane.store.take_commands(job, 1)) == 1


@pytest.mark.parametrize("wish", [cancel_job, pause_job])
def test_a_job_that_stopped_meanwhile_is_no_reason_to_refuse(plane, wish):
    job = plane.running()
    seen = plane.store.get_job(job)
    plane.store.set_state(job, "pausing", attempt=1)
    plane.store.set_state(job, "paused", attempt=1)
    assert wish(plane.context, seen).state == {cancel_job: "cancelled", pause_job: "paused"}[wish]


@pytest.mark.parametrize("wish", [cancel_job, pause_job])
def test_a_job_that_ended_meanwhile_refuses(plane, wish):
    job = plane.running()
    seen = plane.store.get_job(job)
    plane.store.set_state(job, "succeeded", attempt=1)
    with pytest.raises(IllegalTransition):
        wish(plane.context, seen)


@pytest.mark.parametrize("wish", [cancel_job, pause_job])
def test_who_expects_a_revision_is_told_that_it_has_passed(plane, wish):
    job = plane.launched()
    seen = plane.store.get_job(job)
    start(plane, job)
    with pytest.raises(ChangedMeanwhile):
        wish(plane.context, seen, expect=seen.revision)
    assert plane.state(job) == "running"
