"""What every job store does, on each backend."""

from __future__ import annotations

import math
import time

import pytest

from services.presets.registry import resolve
from services.spec.problems import parse_evaluation
from services.stores.journal_mark import JournalMark
from services.stores.lifecycle import ACTIVE, COMMANDS, RESUMABLE, STATES, TRANSITIONS, allowed
from services.stores.listing import JobFilter
from services.stores.protocol import (
    BadCursor,
    ChangedMeanwhile,
    IllegalTransition,
    JobNotFound,
    Origin,
    StaleAttempt,
)
from tests.integration.waiting import wait_until

WAY = {
    "queued": (),
    "starting": ("starting",),
    "running": ("starting", "running"),
    "pausing": ("starting", "running", "pausing"),
    "paused": ("paused",),
    "stopping": ("starting", "stopping"),
    "reconciling": ("starting", "running", "reconciling"),
    "succeeded": ("starting", "running", "succeeded"),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "interrupted": ("interrupted",),
}
"""How a job gets into each state."""


def bring(store, job, state):
    for s in WAY[state]:
        store.set_state(job.id, s, attempt=job.attempt)
    return store.get_job(job.id)


def new_job(store, **fields):
    return store.create_job(resolve("tiny-cpu"), "tiny-cpu", **fields)


# -- jobs -----------------------------------------------------------------------------------------


def test_a_job_comes_back_as_it_was_given(place, store):
    spec = resolve("paper-7b", {"seed": 3})
    job = store.create_job(spec, None, tenant="lab", labels={"team": "α", "a=b": "c"}, author="ada")
    again = place.open().get_job(job.id)
    assert again == job
    assert (again.spec, again.preset, again.state, again.attempt) == (spec, None, "queued", 1)
    assert (again.tenant, again.labels, again.revision) == ("lab", {"team": "α", "a=b": "c"}, 1)
    (event,) = store.events(job.id)
    assert (event.type, event.author, event.attempt) == ("created", "ada", 1)
    assert abs(job.created_at - time.time()) < 60


def test_a_job_is_of_the_default_tenant_and_without_labels(job):
    assert (job.tenant, job.labels, job.preset) == ("default", {}, "tiny-cpu")


def test_an_unknown_job_is_said_to_be_unknown(store):
    for call in (
        lambda: store.get_job("job-x"),
        lambda: store.events("job-x"),
        lambda: store.first_event("job-x"),
        lambda: store.metrics("job-x"),
        lambda: store.latest_metrics("job-x"),
        lambda: store.begin_attempt("job-x"),
        lambda: store.send_command("job-x", "stop", {}),
        lambda: store.trim("job-x", events=1, metrics=1),
        lambda: store.set_state("job-x", "cancelled", attempt=None),
        *old_writes(store, "job-x").values(),
    ):
        with pytest.raises(JobNotFound, match="job-x"):
            call()


def test_a_store_answers(store):
    store.ping()


def test_a_job_is_created_once_under_an_id(store):
    labels = {"a": "1"}
    first = store.create_job(resolve("tiny-cpu"), None, job_id="job-0123456789", labels=labels)
    store.set_state(first.id, "starting", attempt=1)
    again = store.create_job(resolve("tiny-cpu"), None, job_id="job-0123456789", labels=labels)
    assert (again.id, again.state, again.created_at) == (first.id, "starting", first.created_at)
    assert len(store.list_jobs()[0]) == 1
    assert len(store.list_jobs(where=JobFilter(labels=labels))[0]) == 1
    assert [e.type for e in store.events(first.id)] == ["created", "state"]


def evaluation():
    return parse_evaluation(
        {"model": {"path": "m"}, "benchmarks": [{"path": "q.jsonl"}]}
    ).resolved()


def test_training_jobs_and_evaluations_stand_apart(store, job):
    made = store.create_job(evaluation(), None)
    assert (job.kind, made.kind) == ("training", "evaluation")
    assert job.id.startswith("job-")
    assert made.id.startswith("eval-")
    assert store.get_job(made.id).evaluation == evaluation()
    assert [j.id for j in store.list_jobs()[0]] == [made.id, job.id]
    for kind, only in (("training", job), ("evaluation", made)):
        assert [j.id for j in store.list_jobs(where=JobFilter(kind=kind))[0]] == [only.id]
        assert store.count_jobs(kind) == store.count_jobs(kind, tenant="default") == {"queued": 1}
        assert store.count_jobs(kind, tenant="nobody") == {}
    assert store.count_jobs() == {"queued": 2}
    assert "evaluation" in store.events(made.id)[0].message
    with pytest.raises(JobNotFound, match=f"/v1/evaluations/{made.id}"):
        _ = store.get_job(made.id).training
    with pytest.raises(JobNotFound, match=f"/v1/jobs/{job.id}"):
        _ = store.get_job(job.id).evaluation


# -- transitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_exactly_the_published_moves_are_made(store, state):
    held = "running" if state == "reconciling" else None
    options = allowed(state, held)
    for target in STATES:
        job = bring(store, new_job(store), state)
        before = (job, store.events(job.id))
        if target == state:
            assert store.set_state(job.id, target, attempt=1) == job
            assert (store.get_job(job.id), store.events(job.id)) == before
        elif target in options and target != "queued":
            moved = store.set_state(job.id, target, attempt=1, cause="because")
            assert (moved.state, moved.cause, moved.revision) == (
                target,
                "because",
                job.revision + 1,
            )
            assert store.get_job(job.id) == moved
        else:
            with pytest.raises(IllegalTransition) as caught:
                store.set_state(job.id, target, attempt=1)
            assert (caught.value.state, caught.value.allowed) == (state, options)
            assert (store.get_job(job.id), store.events(job.id)) == before


def test_transitions_are_logged_with_cause_author_and_reason(store, job):
    bring(store, job, "running")
    store.set_state(job.id, "failed", attempt=1, cause='disk "full"/€', author="bob", reason="r")
    states = [e for e in store.events(job.id) if e.type == "state"]
    assert [(e.data["from"], e.data["to"]) for e in states] == [
        ("queued", "starting"),
        ("starting", "running"),
        ("running", "failed"),
    ]
    assert [e.level for e in states] == ["info", "info", "error"]
    assert states[0].data["cause"] is None
    last = states[-1]
    assert last.data["cause"] == store.get_job(job.id).cause == 'disk "full"/€'
    assert last.message == 'failed: disk "full"/€'
    assert (last.author, last.reason, last.attempt) == ("bob", "r", 1)
    assert (states[0].author, states[0].reason) == (None, None)


def test_times_follow_the_life_of_a_job(store, job):
    assert (job.started_at, job.finished_at) == (None, None)
    running = bring(store, job, "running")
    assert running.started_at is not None
    assert running.finished_at is None
    paused = store.set_state(job.id, "pausing", attempt=1)
    assert paused.finished_at is None
    paused = store.set_state(job.id, "paused", attempt=1)
    assert paused.started_at == running.started_at
    assert paused.finished_at >= paused.started_at


@pytest.mark.parametrize("held", ["starting", "running", "pausing", "stopping"])
def test_a_job_out_of_sight_goes_where_it_could_have_gone(store, held):
    for target in STATES:
        job = bring(store, new_job(store), held)
        lost = store.set_state(job.id, "reconciling", attempt=None, cause="no answer")
        assert (lost.state, lost.held, lost.cause) == ("reconciling", held, "no answer")
        legal = target == held or (target in TRANSITIONS[held] and target != "queued")
        if target == "reconciling":
            assert store.set_state(job.id, target, attempt=1) == lost
        elif legal:
            back = store.set_state(job.id, target, attempt=1)
            assert (back.state, back.held, back.cause) == (target, None, None)
        else:
            with pytest.raises(IllegalTransition) as caught:
                store.set_state(job.id, target, attempt=1)
            assert caught.value.allowed == allowed("reconciling", held)


# -- the fence ------------------------------------------------------------------------------------


def old_writes(store, job_id):
    return {
        "set_state": lambda: store.set_state(job_id, "starting", attempt=1),
        "set_ray_submission": lambda: store.set_ray_submission(job_id, 1, "x"),
        "heartbeat": lambda: store.heartbeat(job_id, 1, {"stage": "late"}),
        "append_event": lambda: store.append_event(job_id, "note", "", attempt=1),
        "append_metrics": lambda: store.append_metrics(job_id, 1, 1, {}),
        "truncate_metrics": lambda: store.truncate_metrics(job_id, 1, 0),
        "take_commands": lambda: store.take_commands(job_id, 1),
        "settle_commands": lambda: store.settle_commands(job_id, 1, 10**6),
    }


def everything(store, job_id):
    return store.get_job(job_id), store.events(job_id), store.metrics(job_id)


@pytest.mark.parametrize("write", old_writes(None, ""))
def test_a_stale_attempt_writes_nothing(store, job, write):
    store.append_metrics(job.id, 1, 1, {"entropy": 0.5})
    store.set_state(job.id, "interrupted", attempt=1)
    store.begin_attempt(job.id)
    store.send_command(job.id, "stop", {})
    before = everything(store, job.id)
    with pytest.raises(StaleAttempt) as caught:
        old_writes(store, job.id)[write]()
    assert (caught.value.attempt, caught.value.current, caught.value.state) == (1, 2, "queued")
    assert everything(store, job.id) == before
    assert len(store.take_commands(job.id, 2)) == 1


@pytest.mark.parametrize("write", [name for name in old_writes(None, "") if name != "set_state"])
@pytest.mark.parametrize("state", sorted(set(STATES) - ACTIVE))
def test_the_driver_of_an_ended_job_is_told_to_stop(store, job, write, state):
    bring(store, job, state)
    before = everything(store, job.id)
    with pytest.raises(StaleAttempt, match="must stop"):
        old_writes(store, job.id)[write]()
    assert everything(store, job.id) == before


def test_a_revision_that_has_passed_writes_nothing(store, job):
    store.set_state(job.id, "starting", attempt=1, expect=1)
    before = everything(store, job.id)
    for call in (
        lambda: store.set_state(job.id, "running", attempt=None, expect=1),
        lambda: store.send_command(job.id, "cancel", {}, expect=1),
        lambda: store.begin_attempt(job.id, expect=1),
    ):
        with pytest.raises(ChangedMeanwhile) as caught:
            call()
        assert (caught.value.expected, caught.value.current) == (1, 2)
    assert everything(store, job.id) == before


def test_a_revision_counts_what_people_decide_by(store, job):
    def revision():
        return store.get_job(job.id).revision

    store.set_ray_submission(job.id, 1, "x")
    store.heartbeat(job.id, 1, {})
    store.append_event(job.id, "note", "")
    store.append_metrics(job.id, 1, 1, {})
    assert revision() == 1
    store.send_command(job.id, "stage", {"to": "next"})
    assert revision() == 2
    store.set_state(job.id, "starting", attempt=1)
    assert revision() == 3
    store.set_state(job.id, "starting", attempt=1)
    assert revision() == 3


# -- attempts -------------------------------------------------------------------------------------


def test_resuming_opens_a_new_attempt_and_drops_old_commands(store, job):
    bring(store, job, "running")
    store.set_ray_submission(job.id, 1, "ray-1")
    store.heartbeat(job.id, 1, {"stage": "compression"})
    store.send_command(job.id, "stop", {})
    store.set_state(job.id, "interrupted", attempt=1, cause="stop")
    again = store.begin_attempt(job.id, author="ada", reason="more room now")
    assert (again.state, again.attempt, again.cause) == ("queued", 2, None)
    assert (again.ray_submission_id, again.progress, again.heartbeat_at) == (None, None, None)
    assert (again.started_at, again.finished_at) == (None, None)
    assert store.take_commands(job.id, 2) == []
    last = store.events(job.id)[-1]
    assert (last.data, last.attempt) == (
        {"from": "interrupted", "to": "queued", "cause": None},
        2,
    )
    assert (last.author, last.reason) == ("ada", "more room now")


@pytest.mark.parametrize("state", STATES)
def test_only_jobs_that_have_stopped_resume(store, job, state):
    bring(store, job, state)
    if state in RESUMABLE:
        assert store.begin_attempt(job.id).attempt == 2
        return
    with pytest.raises(IllegalTransition, match="cannot resume"):
        store.begin_attempt(job.id)
    assert store.get_job(job.id).attempt == 1


def test_a_wish_for_a_stage_outlives_the_attempt_it_was_sent_to(store, job):
    store.send_command(job.id, "stage", {"to": "next"}, author="ada")
    store.send_command(job.id, "pause", {})
    store.send_command(job.id, "stop", {})
    store.set_state(job.id, "interrupted", attempt=1)
    store.begin_attempt(job.id)
    (command,) = store.take_commands(job.id, 2)
    assert (command.kind, command.data, command.author) == ("stage", {"to": "next"}, "ada")


def test_a_stage_move_that_was_taken_but_not_settled_is_given_to_the_next_attempt(store, job):
    """The driver that took it died before a checkpoint held it."""
    bring(store, job, "running")
    done, refused, open_, late = (
        store.send_command(job.id, "stage", {"to": "next"}, author=name) for name in "abcd"
    )
    store.send_command(job.id, "pause", {})
    assert len(store.take_commands(job.id, 1)) == 5
    store.settle_commands(job.id, 1, done, [late])
    for attempt in (2, 3):
        store.set_state(job.id, "interrupted", attempt=attempt - 1)
        store.begin_attempt(job.id)
        taken = store.take_commands(job.id, attempt)
        assert [(c.id, c.author) for c in taken] == [(refused, "b"), (open_, "c")]
    store.settle_commands(job.id, 3, open_)
    store.set_state(job.id, "interrupted", attempt=3)
    store.begin_attempt(job.id)
    assert store.take_commands(job.id, 4) == []


def test_commands_whose_answer_was_lost_are_handed_out_again(store, job):
    bring(store, job, "running")
    first, second = (store.send_command(job.id, "stage", {"n": n}) for n in (1, 2))
    assert [c.id for c in store.take_commands(job.id, 1, after=0)] == [first, second]
    assert [c.id for c in store.take_commands(job.id, 1, after=first)] == [second]
    assert store.take_commands(job.id, 1, after=second) == []
    assert store.take_commands(job.id, 1) == []
    third = store.send_command(job.id, "pause", {})
    assert [c.id for c in store.take_commands(job.id, 1, after=second)] == [third]


# -- the journal of a driver ----------------------------------------------------------------------


def test_what_carries_a_mark_is_written_once(store, job):
    def write(attempt, number, text, fence=1):
        mark = JournalMark(attempt, number)
        return store.append_event(job.id, "note", text, attempt=fence, mark=mark, at=12.5)

    bring(store, job, "running")
    last = store.events(job.id)[-1].id
    assert [write(1, 1, "one"), write(1, 1, "one again"), write(1, 2, "two")] == [
        *(last + 1, 0, last + 2),
    ]
    store.append_metrics(job.id, 1, 1, {"n": 3}, mark=JournalMark(1, 3))
    store.append_metrics(job.id, 1, 1, {"n": "again"}, mark=JournalMark(1, 3))
    assert write(1, 2, "late") == 0
    store.append_event(job.id, "note", "by nobody's journal")
    store.set_state(job.id, "interrupted", attempt=1)
    store.begin_attempt(job.id)
    assert write(1, 3, "again", fence=2) == 0
    assert write(1, 4, "of the attempt before", fence=2) > 0
    assert write(2, 1, "its own", fence=2) > 0
    assert write(1, 5, "too late", fence=2) == 0
    notes = [e for e in store.events(job.id) if e.type == "note"]
    assert [n.message for n in notes] == [
        *("one", "two", "by nobody's journal", "of the attempt before", "its own"),
    ]
    assert [n.time == 12.5 for n in notes] == [True, True, False, True, True]
    assert [n.attempt for n in notes] == [1, 1, None, 2, 2]
    assert [m["n"] for m in store.metrics(job.id)] == [3]


def test_a_mark_that_was_refused_is_not_spent(store, job):
    bring(store, job, "running")
    with pytest.raises(StaleAttempt):
        store.append_event(job.id, "note", "", attempt=7, mark=JournalMark(1, 1))
    assert store.append_event(job.id, "note", "", attempt=1, mark=JournalMark(1, 1)) > 0


# -- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("state", sorted(set(STATES) - {"reconciling"}))
def test_commands_are_taken_where_they_may_be_obeyed(store, job, kind, state):
    bring(store, job, state)
    before = everything(store, job.id)
    if state not in COMMANDS[kind]:
        with pytest.raises(IllegalTransition, match=kind):
            store.send_command(job.id, kind, {})
        assert everything(store, job.id) == before
        return
    command = store.send_command(job.id, kind, {"note": 1}, author="ada", reason="why not")
    (taken,) = store.take_commands(job.id, 1)
    assert (taken.id, taken.kind, taken.data) == (command, kind, {"note": 1})
    assert (taken.author, taken.reason) == ("ada", "why not")
    assert store.take_commands(job.id, 1) == []
    logged = store.events(job.id)[len(before[1])]
    assert (logged.type, logged.data) == ("command", {"kind": kind, "note": 1})
    assert (logged.author, logged.reason) == ("ada", "why not")


@pytest.mark.parametrize(
    ("kind", "state", "shown"),
    [
        ("pause", "starting", "pausing"),
        ("pause", "running", "pausing"),
        ("cancel", "running", "stopping"),
        ("cancel", "pausing", "stopping"),
        ("cancel", "stopping", "stopping"),
        ("stop", "running", "stopping"),
        ("stop", "pausing", "pausing"),
        ("stage", "running", "running"),
        ("pause", "queued", "queued"),
        ("cancel", "queued", "queued"),
    ],
)
def test_a_command_is_seen_in_the_state_at_once(store, job, kind, state, shown):
    bring(store, job, state)
    store.send_command(job.id, kind, {}, author="ada", reason="so")
    assert store.get_job(job.id).state == shown
    last = store.events(job.id)[-1]
    if shown == state:
        assert last.type == "command"
    else:
        assert last.data == {"from": state, "to": shown, "cause": None}
        assert (last.author, last.reason) == ("ada", "so")


def test_a_job_out_of_sight_is_asked_all_the_same(store, job):
    bring(store, job, "reconciling")
    store.send_command(job.id, "pause", {})
    lost = store.get_job(job.id)
    assert (lost.state, lost.held) == ("reconciling", "pausing")
    with pytest.raises(IllegalTransition):
        store.send_command(job.id, "pause", {})
    assert [c.kind for c in store.take_commands(job.id, 1)] == ["pause"]
    assert store.set_state(job.id, "paused", attempt=1).state == "paused"


def test_a_cancel_is_noted_once_with_its_grace(store, job):
    bring(store, job, "running")
    store.send_command(job.id, "cancel", {"grace_seconds": 60})
    first = store.get_job(job.id)
    assert first.cancel_requested_at is not None
    assert first.cancel_grace_seconds == 60
    store.send_command(job.id, "cancel", {"grace_seconds": 0.5})
    again = store.get_job(job.id)
    assert again.cancel_requested_at == first.cancel_requested_at
    assert again.cancel_grace_seconds == 0.5
    store.send_command(job.id, "cancel", {})
    assert store.get_job(job.id).cancel_grace_seconds == 0.5


@pytest.mark.parametrize("ending", ["paused", "interrupted"])
def test_a_cancel_is_not_lost_to_a_driver_that_stops_otherwise(store, job, ending):
    bring(store, job, "pausing")
    store.send_command(job.id, "cancel", {})
    ended = store.set_state(job.id, ending, attempt=1, cause="after step 3")
    assert (ended.state, ended.cause) == ("cancelled", "cancelled on request")
    assert store.events(job.id)[-1].data["to"] == "cancelled"


def test_a_new_attempt_forgets_a_cancel(store, job):
    bring(store, job, "running")
    store.send_command(job.id, "cancel", {"grace_seconds": 5})
    store.set_state(job.id, "failed", attempt=1)
    again = store.begin_attempt(job.id)
    assert (again.cancel_requested_at, again.cancel_grace_seconds) == (None, None)


# -- heartbeat, metrics, events -------------------------------------------------------------------


def test_a_heartbeat_has_a_time_and_the_progress(store, job):
    store.heartbeat(job.id, 1, {"stage": "compression", "step": 3, "eta_seconds": math.inf})
    found = store.get_job(job.id)
    assert found.progress == {"stage": "compression", "step": 3, "eta_seconds": None}
    assert found.heartbeat_at is not None
    assert found.updated_at >= found.heartbeat_at
    store.set_ray_submission(job.id, 1, "ray-1")
    assert store.get_job(job.id).ray_submission_id == "ray-1"


def test_metrics_are_paged_replaced_and_truncated(store, job):
    assert store.latest_metrics(job.id) is None
    for step in range(1, 12):
        store.append_metrics(job.id, 1, step, {"entropy": step / 10})
    store.append_metrics(job.id, 1, 11, {"entropy": 7.0})
    assert [m["step"] for m in store.metrics(job.id, 4, 3)] == [5, 6, 7]
    assert [m["step"] for m in store.metrics(job.id, 8)] == [9, 10, 11]
    assert store.latest_metrics(job.id) == {"entropy": 7.0, "step": 11, "attempt": 1}
    assert store.truncate_metrics(job.id, 1, 6) == 5
    assert [m["step"] for m in store.metrics(job.id)] == [1, 2, 3, 4, 5, 6]
    assert store.truncate_metrics(job.id, 1, 6) == 0


def test_what_json_cannot_hold_becomes_null(store, job):
    record = {"loss": math.nan, "seconds": {"train": math.inf}, "list": [1.0, -math.inf]}
    store.append_metrics(job.id, 1, 1, record)
    found = store.metrics(job.id)[0]
    assert (found["loss"], found["seconds"], found["list"]) == (None, {"train": None}, [1.0, None])


def test_values_come_back_exactly(store, job):
    record = {
        "x": 0.1 + 0.2,
        "big": 2**53 + 1,
        "empty": {},
        "none": [],
        "deep": {"a": [{"b": None}]},
    }
    store.append_metrics(job.id, 1, 1, record)
    assert store.latest_metrics(job.id) == {**record, "step": 1, "attempt": 1}
    store.append_event(job.id, "note", "", data=record)
    assert store.events(job.id)[-1].data == record


@pytest.mark.parametrize(
    "text", ["", "ünï ☃ 𝔸", 'quote " backslash \\ slash /', "line\nbreak\ttab", "nul \0 inside"]
)
def test_any_text_comes_back(store, job, text):
    store.append_event(job.id, "note", text, data={text: text}, author=text, reason=text)
    event = store.events(job.id)[-1]
    assert (event.message, event.data, event.author, event.reason) == (
        text,
        {text: text},
        text,
        text,
    )
    store.set_state(job.id, "failed", attempt=1, cause=text)
    assert store.get_job(job.id).cause == text


def test_half_characters_do_not_stop_a_record(store, job):
    store.append_event(job.id, "note", "a\ud800b", data={"k\udfff": "v\ud800"}, author="\ud800")
    event = store.events(job.id)[-1]
    assert (event.message, event.data, event.author) == ("a?b", {"k?": "v?"}, "?")
    assert store.set_state(job.id, "failed", attempt=1, cause="c\ud800").cause == "c?"


def test_events_are_paged_with_dense_ids(store, job):
    for i in range(5):
        assert store.append_event(job.id, "note", str(i), level="warning", attempt=1) == i + 2
    assert [e.id for e in store.events(job.id, 2, 3)] == [3, 4, 5]
    assert [e.id for e in store.events(job.id, 4)] == [5, 6]
    assert store.events(job.id, 6) == []
    assert store.events(job.id, 2**62) == []
    event = store.events(job.id, 5)[0]
    assert (event.type, event.message, event.level, event.attempt, event.data) == (
        ("note", "4", "warning", 1, {})
    )


# -- lists ----------------------------------------------------------------------------------------


def test_pages_of_jobs_do_not_shift(store):
    ids = [new_job(store).id for _ in range(5)]
    page, cursor = store.list_jobs(2)
    assert [j.id for j in page] == [ids[4], ids[3]]
    new_job(store)
    store.set_state(ids[3], "cancelled", attempt=None)
    assert store.remove_ended(time.time() + 60) == [ids[3]]
    page, cursor = store.list_jobs(2, cursor)
    assert [j.id for j in page] == [ids[2], ids[1]]
    page, cursor = store.list_jobs(2, cursor)
    assert ([j.id for j in page], cursor) == ([ids[0]], None)


def test_the_last_page_has_no_cursor(store):
    for _ in range(4):
        new_job(store)
    page, cursor = store.list_jobs(4)
    assert (len(page), cursor) == (4, None)
    assert store.list_jobs(3)[1] is not None


@pytest.mark.parametrize("cursor", ["", "job-x", "before-0", "before--1", "before-1 ", "before-٣"])
def test_a_cursor_that_is_none(store, cursor):
    with pytest.raises(BadCursor):
        store.list_jobs(1, cursor)


def test_jobs_are_filtered_and_counted_by_state(store):
    ids = [new_job(store).id for _ in range(3)]
    store.set_state(ids[1], "cancelled", attempt=None)
    assert [j.id for j in store.list_jobs(10, states={"cancelled"})[0]] == [ids[1]]
    assert [j.id for j in store.list_jobs(10, states=ACTIVE)[0]] == [ids[2], ids[0]]
    assert store.list_jobs(10, states=())[0] == []
    assert store.count_jobs() == {"queued": 2, "cancelled": 1}


def test_every_filter_counts_alone_and_together(store):
    a = store.create_job(resolve("tiny-cpu", {"name": "a"}), None, labels={"k": "1", "l": "x"})
    b = store.create_job(resolve("tiny-cpu", {"name": "b"}), None, labels={"k": "1"}, tenant="t")
    c = store.create_job(resolve("tiny-cpu", {"name": "b"}), None, tenant="t")
    bring(store, b, "running")
    store.heartbeat(b.id, 1, {"stage": "exploration"})

    def found(states=None, **where):
        return [j.id for j in store.list_jobs(10, None, states, JobFilter(**where))[0]]

    assert found(name="b") == [c.id, b.id]
    assert found(tenant="t") == [c.id, b.id]
    assert found(tenant="default") == [a.id]
    assert found(labels={"k": "1"}) == [b.id, a.id]
    assert found(labels={"k": "1", "l": "x"}) == [a.id]
    assert found(labels={"k": "2"}) == []
    assert found(stage="exploration") == [b.id]
    assert found(stage="compression") == found(stage="explor") == []
    assert found(created_after=b.created_at) == [c.id, b.id]
    assert found(created_before=c.created_at) == [b.id, a.id]
    assert found(created_after=b.created_at, created_before=c.created_at) == [b.id]
    assert found(created_before=c.created_at, name="b") == [b.id]
    assert found(created_before=a.created_at) == found(created_after=c.created_at + 60) == []
    store.heartbeat(b.id, 1, {"stage": "exploration.2"})
    assert found(stage="exploration") == [b.id]
    assert found(tenant="t", name="b", states={"queued"}) == [c.id]
    assert found(tenant="nobody") == []
    store.heartbeat(b.id, 1, {})
    assert found(stage="exploration") == []
    assert store.count_jobs(tenant="t") == {"queued": 1, "running": 1}
    assert store.count_jobs(tenant="nobody") == {}


# -- keeping within bounds ------------------------------------------------------------------------


def test_trimming_keeps_the_newest_and_leaves_a_gap(store, job):
    for i in range(9):
        store.append_event(job.id, "note", str(i))
        store.append_metrics(job.id, 1, i + 1, {})
    assert store.first_event(job.id) == 1
    store.trim(job.id, events=None, metrics=None)
    assert (store.first_event(job.id), len(store.metrics(job.id))) == (1, 9)
    store.trim(job.id, events=4, metrics=3)
    assert store.first_event(job.id) == 7
    assert [e.id for e in store.events(job.id, after=2)] == [7, 8, 9, 10]
    assert [m["step"] for m in store.metrics(job.id)] == [7, 8, 9]
    assert store.append_event(job.id, "note", "") == 11
    store.trim(job.id, events=0, metrics=0)
    assert [e.id for e in store.events(job.id)] == [11]
    assert store.metrics(job.id) == []
    assert store.append_event(job.id, "note", "") == 12


def test_jobs_are_removed_some_time_after_their_end(store):
    jobs = {state: bring(store, new_job(store, labels={"k": "v"}), state) for state in STATES}
    jobs["resumed"] = bring(store, new_job(store), "failed")
    store.begin_attempt(jobs["resumed"].id)
    assert store.remove_ended(min(j.created_at for j in jobs.values())) == []
    over = [jobs[s].id for s in ("succeeded", "failed", "cancelled")]
    assert store.remove_ended(time.time() + 60, limit=2) == over[:2]
    assert store.remove_ended(time.time() + 60) == over[2:]
    assert store.remove_ended(time.time() + 60) == []
    for gone in over:
        with pytest.raises(JobNotFound):
            store.get_job(gone)
        with pytest.raises(JobNotFound):
            store.events(gone)
    kept = {j.id for j in jobs.values()} - set(over)
    assert {j.id for j in store.list_jobs(100)[0]} == kept
    assert len(store.list_jobs(100, where=JobFilter(labels={"k": "v"}))[0]) == len(STATES) - 3
    assert sum(store.count_jobs().values()) == len(kept)
    assert store.list_jobs(100, states={"succeeded", "failed", "cancelled"})[0] == []


# -- leases ---------------------------------------------------------------------------------------


def test_a_lease_has_one_owner_until_it_runs_out_or_is_given_back(store):
    assert store.hold("reconciler", "a", 30)
    assert store.hold("reconciler", "a", 30)
    assert not store.hold("reconciler", "b", 30)
    assert store.hold("other", "b", 30)
    store.release("reconciler", "b")
    assert not store.hold("reconciler", "b", 30)
    store.release("reconciler", "a")
    assert store.hold("reconciler", "b", 4)
    assert not store.hold("reconciler", "a", 30)
    wait_until("the end of the lease", lambda: store.hold("reconciler", "a", 30), 30)
    assert not store.hold("reconciler", "b", 30)


def test_where_a_job_goes_on_from_is_remembered(store):
    spec = resolve("tiny-cpu")
    plain = store.create_job(spec, None)
    assert plain.forked_from is None
    made = store.create_job(spec, None, forked_from=Origin(plain.id, 20), reason="what if")
    assert made.forked_from == store.get_job(made.id).forked_from == Origin(plain.id, 20)
    (created,) = store.events(made.id)
    assert created.data == {"forked_from": {"job": plain.id, "step": 20}}
    assert created.reason == "what if"
    store.set_state(made.id, "interrupted", attempt=1)
    store.begin_attempt(made.id, from_step=20)
    assert store.events(made.id)[-1].data["from_step"] == 20
    assert "from_step" not in store.events(made.id)[-2].data
