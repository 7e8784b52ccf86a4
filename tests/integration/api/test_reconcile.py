"""The control plane ends a job only on an observed fact."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from api.dependencies import Context
from api.limits import Limits
from api.reconcile import Reconciler
from api.settings import Settings
from api.verification import Verification
from services.control.stores import open_control
from services.home import Home
from services.launcher import Observation
from services.presets.registry import resolve
from services.spec.validation import ClusterSize
from services.stores.protocol import StaleAttempt
from services.stores.retention import Retention
from services.stores.sqlite import SqliteJobStore
from tests.integration.api.conftest import RecordingLauncher, serve
from tests.integration.waiting import wait_until

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
    plane.wait_for("doubt", lambda: plane.state(job) == "reconciling")
    settle(plane)
    lost = plane.store.get_job(job)
    assert (lost.state, lost.held, lost.finished_at) == ("reconciling", "running", None)
    assert "connection refused" in lost.cause
    assert plane.launcher.stopped == []
    plane.launcher.shown[f"{job}-1"] = Observation("running")
    plane.wait_for("sight", lambda: plane.state(job) == "running")
    states = [e.data["to"] for e in plane.store.events(job) if e.type == "state"]
    assert states == ["starting", "running", "reconciling", "running"]


@pytest.mark.parametrize("held", ["starting", "pausing", "stopping"])
def test_a_job_comes_back_as_what_it_was(plane, held):
    job = plane.launched()
    plane.store.set_state(job, "starting", attempt=1)
    if held != "starting":
        plane.store.set_state(job, held, attempt=1)
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable")
    plane.wait_for("doubt", lambda: plane.state(job) == "reconciling")
    plane.launcher.shown[f"{job}-1"] = Observation("running")
    plane.wait_for("sight", lambda: plane.state(job) == held)


def test_a_driver_that_is_heard_needs_no_other_witness(plane):
    job = plane.running(step=1)
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable")
    settle(plane)
    assert plane.state(job) == "running"


def test_a_queued_job_whose_cluster_is_silent_still_waits(plane):
    job = plane.launched()
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable")
    settle(plane)
    assert plane.state(job) == "queued"


def test_a_driver_that_is_silent_for_too_long_is_out_of_sight_until_it_speaks(plane, monkeypatch):
    job = plane.running(step=1)
    plane.context.settings = replace(plane.context.settings, heartbeat_overdue_seconds=30)
    now, ahead = time.monotonic, [0.0]
    monkeypatch.setattr("api.pulse.monotonic", lambda: now() + ahead[0])
    settle(plane)
    ahead[0] = 25.0
    settle(plane)
    assert plane.state(job) == "running"
    ahead[0] = 40.0
    plane.wait_for("doubt", lambda: plane.state(job) == "reconciling")
    assert "no sign of life" in plane.store.get_job(job).cause
    ahead[0] = 0.0
    plane.store.heartbeat(job, 1, {"step": 2})
    plane.wait_for("sight", lambda: plane.state(job) == "running")


GONE = ["missing", "failed", "stopped", "succeeded"]


@pytest.mark.parametrize("status", GONE)
def test_a_driver_that_is_heard_is_not_gone_whatever_ray_says(plane, monkeypatch, status):
    """A proxy, a wrong address, a second control plane on another Ray, or Ray's own monitor."""
    monkeypatch.setattr("api.reconcile._CONTRADICTION_SECONDS", 0.5)
    job = plane.running(step=1)
    plane.launcher.shown[f"{job}-1"] = Observation(status)
    settle(plane)
    assert plane.state(job) == "running"
    plane.wait_for("that it shows", lambda: plane.state(job) == "reconciling")
    assert f"Ray says that its driver is {status}" in plane.store.get_job(job).cause
    plane.store.heartbeat(job, 1, {"step": 2})  # it was not fenced off
    plane.launcher.shown[f"{job}-1"] = Observation("running")
    plane.wait_for("agreement", lambda: plane.state(job) == "running")


@pytest.mark.parametrize("status", GONE)
def test_a_driver_that_is_heard_no_more_is_gone_when_ray_says_so(tmp_path, body, status):
    with serve(tmp_path / "home", body, heartbeat_fresh_seconds=1.0) as plane:
        job = plane.running(step=1)
        began = time.monotonic()
        plane.launcher.shown[f"{job}-1"] = Observation(status)
        plane.wait_for("the end", lambda: plane.state(job) in ("failed", "interrupted"))
        assert 0.9 < time.monotonic() - began < 5


def test_a_clock_that_is_ahead_keeps_no_driver_alive(tmp_path, body, monkeypatch):
    """That of a Redis server, say: its heartbeats lie an hour in the future."""
    with serve(tmp_path / "home", body, heartbeat_fresh_seconds=1.0) as plane:
        job = plane.running()
        now = time.time
        with monkeypatch.context() as ahead:
            ahead.setattr("services.stores.sqlite.time.time", lambda: now() + 3600)
            plane.store.heartbeat(job, 1, {"step": 1})
        plane.launcher.shown[f"{job}-1"] = Observation("failed")
        plane.wait_for("the end", lambda: plane.state(job) == "failed")


def test_the_record_of_a_driver_out_of_sight_counts(plane):
    job = plane.running()
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable")
    plane.wait_for("doubt", lambda: plane.state(job) == "reconciling")
    plane.store.set_state(job, "succeeded", attempt=1)
    settle(plane)
    assert plane.state(job) == "succeeded"


def test_a_cluster_that_answers_again_may_say_that_the_driver_is_gone(plane):
    job = plane.running()
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable")
    plane.wait_for("doubt", lambda: plane.state(job) == "reconciling")
    plane.launcher.shown[f"{job}-1"] = Observation("missing")
    plane.wait_for("the end", lambda: plane.state(job) == "interrupted")


def test_a_cancel_of_a_job_out_of_sight_is_enforced_once_that_can_be_seen(impatient):
    plane = impatient
    job = plane.running()
    plane.launcher.shown[f"{job}-1"] = Observation("unobservable")
    plane.wait_for("doubt", lambda: plane.state(job) == "reconciling")
    assert plane.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
    time.sleep(GRACE)
    settle(plane)
    assert plane.launcher.stopped == []
    plane.launcher.shown[f"{job}-1"] = Observation("running")
    plane.wait_for("the end", lambda: plane.state(job) == "cancelled")


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


def test_the_grace_of_a_cancel_counts_before_that_of_the_settings(plane):
    job = plane.running()
    plane.http.post(f"/v1/jobs/{job}/cancel", json={"grace_seconds": GRACE})
    plane.wait_for("the end", lambda: plane.state(job) == "cancelled")
    assert f"after {GRACE:g} s" in plane.store.get_job(job).cause


@pytest.mark.parametrize("wish", ["cancel", "pause"])
def test_a_driver_of_a_job_that_left_the_queue_is_stopped(plane, wish):
    job = plane.launched()
    assert plane.http.post(f"/v1/jobs/{job}/{wish}").status_code == 200
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


def test_a_resumed_job_starts_once_the_workers_of_its_old_driver_are_free(plane):
    """The record of an attempt is written before its driver has let go of everything."""
    job = plane.running()
    plane.store.set_state(job, "pausing", attempt=1)
    plane.store.set_state(job, "paused", attempt=1)
    plane.http.post(f"/v1/jobs/{job}/resume")
    settle(plane)
    assert plane.launcher.submitted == [f"{job}-1"]
    plane.launcher.shown[f"{job}-1"] = Observation("succeeded")
    plane.wait_for("the new driver", lambda: f"{job}-2" in plane.launcher.submitted)
    assert plane.launcher.stopped == []


def test_an_attempt_that_never_had_a_driver_does_not_hide_the_one_before(plane):
    """Pause, resume, pause before the new driver has started, resume."""
    job = plane.running()
    plane.store.set_state(job, "pausing", attempt=1)
    plane.store.set_state(job, "paused", attempt=1)
    for _ in range(2):
        plane.http.post(f"/v1/jobs/{job}/resume")
        plane.http.post(f"/v1/jobs/{job}/pause")
    plane.http.post(f"/v1/jobs/{job}/resume")
    settle(plane)
    assert plane.launcher.submitted == [f"{job}-1"]
    plane.launcher.shown[f"{job}-1"] = Observation("succeeded")
    plane.wait_for("the new driver", lambda: f"{job}-4" in plane.launcher.submitted)


def test_an_old_driver_that_does_not_leave_is_stopped(plane, monkeypatch):
    monkeypatch.setattr("api.reconcile._LEAVE_SECONDS", 0.3)
    job = plane.running()
    plane.store.set_state(job, "interrupted", attempt=1)
    plane.http.post(f"/v1/jobs/{job}/resume")
    plane.wait_for("the new driver", lambda: f"{job}-2" in plane.launcher.submitted)
    assert plane.launcher.stopped == [f"{job}-1"]


def test_old_jobs_go_and_logs_of_jobs_at_work_are_trimmed(plane, monkeypatch):
    monkeypatch.setattr("api.reconcile._TIDY_SECONDS", 0.0)
    old, working = plane.running(), plane.running()
    plane.store.set_state(old, "succeeded", attempt=1)
    plane.launcher.shown[f"{old}-1"] = Observation("succeeded")
    for _ in range(20):
        plane.store.append_event(working, "note", "")
    settle(plane)
    assert plane.state(old) == "succeeded"
    keep = Retention(events_per_job=5, ended_days=1e-9)
    plane.context.settings = replace(plane.context.settings, retention=keep)
    plane.wait_for(
        "the end of the old", lambda: plane.http.get(f"/v1/jobs/{old}").status_code == 404
    )
    plane.wait_for("a short log", lambda: len(plane.store.events(working)) <= 5)
    assert plane.store.first_event(working) > 10
    settle(plane)


def test_of_two_control_planes_on_a_store_one_looks_after_the_jobs(tmp_path):
    store = SqliteJobStore(tmp_path / "jobs.db")
    settings = Settings(
        home=Home(tmp_path).create(), reconcile_seconds=0.05, max_running_jobs=9, alone=False
    )
    control = open_control(settings.home)
    contexts = [
        Context(settings, store, RecordingLauncher(), control, b"s" * 32, Verification(1))
        for _ in range(2)
    ]
    first, second = (Reconciler(context) for context in contexts)
    submitted = [context.launcher.submitted for context in contexts]
    first.start()
    wait_until("a look", lambda: contexts[0].last_reconciled, 15)
    second.start()
    try:
        wait_until("a look", lambda: contexts[1].last_reconciled, 15)
        job = store.create_job(resolve("tiny-cpu"), None).id
        wait_until("a driver", lambda: submitted[0] == [f"{job}-1"], 15)
        contexts[1].launcher.shown[f"{job}-1"] = Observation("running")
        store.set_state(job, "starting", attempt=1)
        assert submitted[1] == []
        assert [(c.leads, c.last_looked is not None) for c in contexts] == [
            (True, True),
            (False, False),
        ]
        first.stop()
        later = store.create_job(resolve("tiny-cpu"), None).id
        wait_until("the other", lambda: submitted[1] == [f"{later}-1"], 15)
        assert submitted[0] == [f"{job}-1"]
        assert store.get_job(job).state == "starting"
        assert contexts[1].leads
    finally:
        contexts[1].launcher.shown.clear()
        second.stop()


def test_one_that_is_alone_does_not_wait_for_the_lease_of_its_killed_predecessor(tmp_path):
    settings = Settings(home=Home(tmp_path).create(), reconcile_seconds=0.05, lease_seconds=3600)
    store = SqliteJobStore(settings.home.database)
    control = open_control(settings.home)
    for _ in range(2):
        context = Context(settings, store, RecordingLauncher(), control, b"s" * 32, Verification(1))
        reconciler = Reconciler(context)
        reconciler.start()
        wait_until("a look", lambda context=context: context.last_looked, 15)
        # Killed: it gives nothing back.
        reconciler._ending.set()
        reconciler._thread.join(15)
    other = replace(settings, alone=False)
    context = Context(other, store, RecordingLauncher(), control, b"s" * 32, Verification(1))
    reconciler = Reconciler(context)
    reconciler.start()
    wait_until("its turn", lambda: context.last_reconciled, 15)
    reconciler.stop()
    assert context.last_looked is None


def test_a_driver_that_reports_before_its_submission_is_noted_is_watched(plane):
    """Whoever submitted it was killed in between; older jobs have the places meanwhile."""
    plane.launcher.refuses = "no place"
    old, job = plane.create(), plane.create()
    plane.launcher.shown[f"{job}-1"] = Observation("running")
    plane.store.set_state(job, "starting", attempt=1)
    plane.wait_for("the note", lambda: plane.store.get_job(job).ray_submission_id == f"{job}-1")
    assert plane.launcher.submitted == []
    assert plane.state(old) == "queued"
    plane.launcher.shown[f"{job}-1"] = Observation("failed")
    plane.wait_for("its end", lambda: plane.state(job) == "failed")


@pytest.mark.parametrize("at", ["before the look", "while its end is written"])
def test_a_cancel_accepted_while_a_dead_driver_is_found_counts(plane, monkeypatch, at):
    job = plane.running()
    cancel = threading.Event()

    def cancel_once():
        if not cancel.is_set():
            cancel.set()
            assert plane.http.post(f"/v1/jobs/{job}/cancel").status_code == 202

    def status(name):
        if at == "before the look":
            cancel_once()
        return Observation("failed", "exit code -9")

    def logs(name):
        if at == "while its end is written":
            cancel_once()
        return ""

    monkeypatch.setattr(plane.launcher, "logs", logs)
    monkeypatch.setattr(plane.launcher, "status", status)
    plane.wait_for("the end", lambda: plane.state(job) in ("cancelled", "failed"))
    assert cancel.is_set()
    assert plane.state(job) == "cancelled"


def wants_to_go_on(plane, limit=2, pause_seconds=0.0):
    """A body of a job that is resumed by itself."""
    overrides = {
        **plane.body["overrides"],
        "restarts": {"limit": limit, "pause_seconds": pause_seconds},
    }
    plane.body = {**plane.body, "overrides": overrides}


def resumes(plane, job):
    return [e for e in plane.store.events(job) if e.type == "auto_resumed"]


def lose_driver(plane, job, attempt, status="failed"):
    """An attempt runs, and its driver dies."""
    name = f"{job}-{attempt}"
    plane.wait_for("the driver", lambda: name in plane.launcher.submitted)
    plane.wait_for("its note", lambda: plane.store.get_job(job).ray_submission_id == name)
    plane.store.set_state(job, "starting", attempt=attempt)
    plane.store.set_state(job, "running", attempt=attempt)
    plane.launcher.shown[name] = Observation(status, "exit code -9")


@pytest.mark.parametrize("status", ["failed", "missing", "stopped"])
def test_a_job_whose_driver_was_lost_goes_on_by_itself(plane, status):
    wants_to_go_on(plane)
    job = plane.create()
    lose_driver(plane, job, 1, status)
    plane.wait_for("the new driver", lambda: f"{job}-2" in plane.launcher.submitted)
    told = plane.wait_for("the event", lambda: resumes(plane, job))[0]
    assert (told.attempt, told.author, told.level) == (2, None, "warning")
    assert {k: told.data[k] for k in ("count", "limit", "attempt")} == {
        **{"count": 1, "limit": 2},
        "attempt": 2,
    }
    assert told.data["cause"]
    states = [e.data["to"] for e in plane.store.events(job) if e.type == "state"]
    assert states[-2:] == ["interrupted", "queued"]
    plane.store.set_state(job, "starting", attempt=2)
    with pytest.raises(StaleAttempt):
        plane.store.heartbeat(job, 1, {"step": 9})


def test_a_job_that_does_not_get_further_is_given_up_and_one_that_does_is_not(plane):
    wants_to_go_on(plane)
    job = plane.create()
    lose_driver(plane, job, 1)
    lose_driver(plane, job, 2)
    plane.wait_for("the third driver", lambda: f"{job}-3" in plane.launcher.submitted)
    plane.store.append_event(job, "checkpoint", "", data={"step": 20}, attempt=3)
    for attempt in (3, 4):
        lose_driver(plane, job, attempt)
    lose_driver(plane, job, 5)
    plane.wait_for("the end", lambda: plane.state(job) == "failed")
    assert [e.data["count"] for e in resumes(plane, job)] == [1, 2, 1, 2]
    cause = plane.store.get_job(job).cause
    assert "exit code -9" in cause
    assert "2 times without getting further" in cause


def test_a_resumed_driver_waits_in_the_queue(plane):
    wants_to_go_on(plane, pause_seconds=600)
    job = plane.create()
    lose_driver(plane, job, 1)
    plane.wait_for("the queue", lambda: plane.state(job) == "queued")
    settle(plane)
    assert plane.launcher.submitted == [f"{job}-1"]
    assert resumes(plane, job)[0].data["pause_seconds"] == 600
    # It can be moved as any other job in the queue.
    assert plane.http.post(f"/v1/jobs/{job}/pause").status_code == 200
    plane.http.post(f"/v1/jobs/{job}/resume")
    plane.wait_for("the driver", lambda: f"{job}-3" in plane.launcher.submitted)


@pytest.mark.parametrize("end", ["failed", "cancelled", "paused"])
def test_what_a_driver_or_a_person_has_ended_does_not_go_on(plane, end):
    wants_to_go_on(plane)
    job = plane.create()
    plane.wait_for("the driver", lambda: plane.launcher.submitted)
    plane.store.set_state(job, "starting", attempt=1)
    plane.store.set_state(job, "running", attempt=1)
    if end == "failed":
        plane.store.set_state(job, "failed", attempt=1, cause="loss is not finite")
    else:
        plane.http.post(f"/v1/jobs/{job}/{end.removesuffix('led').removesuffix('d')}")
    plane.launcher.shown[f"{job}-1"] = Observation("failed", "killed before it could obey")
    # A driver that died as it was to pause has paused nothing: it is for the person to say.
    wanted = "failed" if end == "paused" else end
    plane.wait_for("the end", lambda: plane.state(job) == wanted)
    settle(plane)
    assert plane.state(job) == wanted
    assert plane.launcher.submitted == [f"{job}-1"]


@pytest.mark.parametrize("takes_up", [True, False])
def test_jobs_that_stopped_with_their_control_plane_go_on_with_the_next(tmp_path, body, takes_up):
    home = tmp_path / "home"
    with serve(home, body) as plane:
        wants_to_go_on(plane)
        job = plane.running()
        plane.context.closing.set()  # from here on as ControlPlane.drain does
        plane.store.send_command(job, "stop", {})
        plane.store.set_state(job, "interrupted", attempt=1, cause="stopped on request")
        settle(plane)
        assert plane.state(job) == "interrupted"
    with serve(home, body, takes_up_interrupted=takes_up) as plane:
        settle(plane)
        assert plane.launcher.submitted == ([f"{job}-2"] if takes_up else [])
        assert [e.data["count"] for e in resumes(plane, job)] == ([0] if takes_up else [])
        assert plane.state(job) == ("queued" if takes_up else "interrupted")


def test_a_job_goes_on_once_its_tenant_has_a_place_again(tmp_path, body, monkeypatch):
    monkeypatch.setattr("api.auto_resume._QUOTA_SECONDS", 0.1)
    with serve(tmp_path / "home", body, limits=Limits(quota_jobs=1)) as plane:
        wants_to_go_on(plane)
        first = plane.running()
        with plane.context.creating:  # the other comes in between
            plane.store.set_state(first, "interrupted", attempt=1, cause="stopped on request")
            other = plane.store.create_job(plane.store.get_job(first).spec, None).id
        settle(plane)
        assert plane.state(first) == "interrupted"
        plane.http.post(f"/v1/jobs/{other}/cancel")
        plane.wait_for("its turn", lambda: resumes(plane, first))
