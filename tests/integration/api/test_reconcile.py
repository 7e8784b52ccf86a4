"""The control plane ends a job only on an observed fact."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from services.launcher import Observation
from services.spec.validation import ClusterSize

GRACE = 0.5


@pytest.fixture
def impatient(plane):
    """A control plane that gives a driver half a second to obey a cancel."""
    plane.context.settings = replace(plane.context.settings, cancel_grace_seconds=GRACE)
    return plane


def settle(plane):
    """Wait until the reconciler has looked at everything twice."""
    for _ in range(2):
        since = time.time()
        plane.wait_for("a look", lambda since=since: (plane.context.last_reconciled or 0) > since)


@pytest.mark.parametrize("status", ["failed", "succeeded"])
def test_a_driver_that_ends_without_a_record_has_failed(plane, status):
    job = plane.running()
    plane.launcher.shown[f"{job}-1"] = Observation(status, "exit code 9")
    plane.wait_for("the end", lambda: plane.state(job) == "failed")
    cause = plane.store.get_job(job).cause
    assert "driver ended without a record" in cause
    assert status in cause
    assert "exit code 9" in cause
    tails = [e.data["tail"] for e in plane.store.events(job) if e.type == "driver_log"]
    assert tails == [f"last words of {job}-1"]


@pytest.mark.parametrize("status", ["missing", "stopped"])
def test_a_driver_taken_away_leaves_a_job_to_resume(plane, status):
    job = plane.running()
    plane.launcher.shown[f"{job}-1"] = Observation(status)
    plane.wait_for("the end", lambda: plane.state(job) == "interrupted")
    assert plane.store.get_job(job).cause


def test_a_cancelled_job_whose_cluster_is_gone_is_cancelled(plane):
    job = plane.running()
    plane.http.post(f"/v1/jobs/{job}/cancel")
    plane.launcher.shown[f"{job}-1"] = Observation("missing")
    plane.wait_for("the end", lambda: plane.state(job) == "cancelled")


def test_a_cluster_that_does_not_answer_ends_nothing(plane):
    job = plane.running()
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable", "connection refused")
    settle(plane)
    assert plane.state(job) == "running"


def test_a_job_too_large_for_a_cluster_seen_only_later_fails_with_the_field(plane):
    """The size of the cluster was not known at submission."""
    plane.launcher.size, plane.launcher.refuses = None, "Ray is not up yet"
    job = plane.create()
    plane.launcher.size, plane.launcher.refuses = ClusterSize(cpus=1, gpus=0), None
    plane.wait_for("the end", lambda: plane.state(job) == "failed")
    assert plane.store.get_job(job).cause.startswith("/generator/workers")
    assert plane.launcher.submitted == []


def test_the_drivers_own_record_counts(plane):
    job = plane.running()
    plane.store.set_state(job, "failed", attempt=1, cause="loss is not finite")
    plane.launcher.shown[f"{job}-1"] = Observation("failed", "exit code 1")
    settle(plane)
    assert plane.store.get_job(job).cause == "loss is not finite"


def test_the_log_of_an_ended_driver_is_kept(plane):
    job = plane.running()
    settle(plane)
    plane.store.set_state(job, "succeeded", attempt=1)
    plane.launcher.shown[f"{job}-1"] = Observation("succeeded")
    file = plane.context.settings.home.job(job).driver_log
    plane.wait_for("the log", file.exists)
    settle(plane)
    assert file.read_text().count(f"last words of {job}-1") == 1


def test_a_cancel_that_is_obeyed_stops_nothing_by_force(impatient):
    plane = impatient
    job = plane.running()
    plane.http.post(f"/v1/jobs/{job}/cancel")
    plane.store.set_state(job, "cancelled", attempt=1, cause="on request")
    plane.launcher.shown[f"{job}-1"] = Observation("succeeded")
    time.sleep(GRACE)
    settle(plane)
    assert plane.launcher.stopped == []


def test_a_cancel_that_is_not_obeyed_is_enforced_after_the_grace(impatient):
    plane = impatient
    job = plane.running()
    asked = time.time()
    plane.http.post(f"/v1/jobs/{job}/cancel")
    plane.wait_for("the end", lambda: plane.state(job) == "cancelled")
    assert time.time() - asked >= GRACE
    assert plane.launcher.stopped == [f"{job}-1"]
    assert "stopped after" in plane.store.get_job(job).cause


def test_a_driver_of_a_job_cancelled_while_submitted_is_stopped(plane):
    job = plane.launched()
    assert plane.http.post(f"/v1/jobs/{job}/cancel").status_code == 200
    plane.wait_for("the stop", lambda: plane.launcher.stopped == [f"{job}-1"])


def test_a_cluster_that_refuses_leaves_the_job_in_the_queue(plane):
    plane.launcher.refuses = "no agent yet"
    job = plane.create()
    settle(plane)
    settle(plane)
    assert plane.state(job) == "queued"
    waiting = [e.message for e in plane.store.events(job) if e.type == "waiting"]
    assert len(waiting) == 1
    assert "no agent yet" in waiting[0]
    plane.launcher.refuses = None
    plane.wait_for("submission", lambda: plane.launcher.submitted == [f"{job}-1"])


def test_jobs_wait_for_their_turn_oldest_first(plane):
    assert plane.context.settings.max_running_jobs == 2
    jobs = [plane.create() for _ in range(4)]
    plane.wait_for("two submissions", lambda: len(plane.launcher.submitted) == 2)
    settle(plane)
    assert plane.launcher.submitted == [f"{j}-1" for j in jobs[:2]]
    plane.store.set_state(jobs[0], "interrupted", attempt=1)
    plane.wait_for("the third", lambda: plane.launcher.submitted[2:] == [f"{jobs[2]}-1"])


def test_nothing_starts_while_the_control_plane_closes(plane):
    plane.launcher.refuses = "not yet"
    plane.create()
    plane.context.closing.set()
    plane.launcher.refuses = None
    settle(plane)
    assert plane.launcher.submitted == []


def test_a_resumed_job_is_not_ended_by_what_became_of_its_old_driver(plane):
    job = plane.running()
    plane.store.set_state(job, "interrupted", attempt=1)
    plane.launcher.shown[f"{job}-1"] = Observation("failed")
    plane.http.post(f"/v1/jobs/{job}/resume")
    plane.wait_for("the new driver", lambda: f"{job}-2" in plane.launcher.submitted)
    settle(plane)
    assert plane.state(job) == "queued"
