"""The SQLite job store under several processes and threads."""

from __future__ import annotations

import math
import multiprocessing
import sqlite3
import threading

import pytest

from services.presets.registry import resolve
from services.spec.problems import parse_evaluation
from services.stores.protocol import IllegalTransition, JobNotFound, StaleAttempt
from services.stores.sqlite import SqliteJobStore
from services.stores.sqlite_schema import UnknownLayout

WRITERS = 4
EACH = 50


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path):
    return SqliteJobStore(path)


@pytest.fixture
def job(store):
    return store.create_job(resolve("tiny-cpu"), "tiny-cpu")


def run_to(store, job, state):
    for s in ("starting", "running", "succeeded")[
        : {"starting": 1, "running": 2, "succeeded": 3}[state]
    ]:
        store.set_state(job.id, s, attempt=job.attempt)
    return store.get_job(job.id)


def _write(path, job_id, go):
    store = SqliteJobStore(path)
    go.wait(30)
    for i in range(EACH):
        store.append_event(job_id, "note", f"{i}", attempt=1)
        store.heartbeat(job_id, 1, {"step": i})


def _in_processes(target, *arguments, count=WRITERS):
    context = multiprocessing.get_context("spawn")
    go = context.Event()
    workers = [context.Process(target=target, args=(*arguments, go)) for _ in range(count)]
    for w in workers:
        w.start()
    go.set()
    for w in workers:
        w.join(90)
    assert [w.exitcode for w in workers] == [0] * count


def test_event_ids_are_dense_when_processes_write_at_once(path, store, job):
    _in_processes(_write, path, job.id)
    events = store.events(job.id, limit=10_000)
    assert [e.id for e in events] == list(range(1, 1 + WRITERS * EACH + 1))
    assert sorted(int(e.message) for e in events if e.type == "note") == sorted(
        i for i in range(EACH) for _ in range(WRITERS)
    )


def _take(path, job_id, results, go):
    store = SqliteJobStore(path)
    go.wait(30)
    found = []
    for _ in range(30):
        found += [c.id for c in store.take_commands(job_id, 1)]
    results.put(found)


def test_each_command_is_taken_once_though_two_processes_ask(path, store, job):
    sent = [store.send_command(job.id, "stage", {"to": "next"}) for _ in range(40)]
    results = multiprocessing.get_context("spawn").Queue()
    _in_processes(_take, path, job.id, results, count=2)
    taken = results.get(timeout=10) + results.get(timeout=10)
    assert sorted(taken) == sent


def _claim(path, job_id, results, go):
    store = SqliteJobStore(path)
    go.wait(30)
    try:
        results.put(store.begin_attempt(job_id).attempt)
    except IllegalTransition:
        results.put(None)


def test_one_of_two_processes_resumes(path, store, job):
    store.set_state(job.id, "interrupted", attempt=None)
    results = multiprocessing.get_context("spawn").Queue()
    _in_processes(_claim, path, job.id, results, count=2)
    assert sorted([results.get(timeout=10), results.get(timeout=10)], key=str) == [2, None]
    assert store.get_job(job.id).attempt == 2


def test_threads_share_one_store(store, job):
    errors = []

    def write():
        try:
            for i in range(EACH):
                store.append_metrics(job.id, 1, i + 1, {"entropy": i})
                store.append_event(job.id, "note", "", attempt=1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert errors == []
    assert len(store.metrics(job.id)) == EACH
    assert store.events(job.id, after=WRITERS * EACH)[-1].id == WRITERS * EACH + 1


def test_a_job_comes_back_as_it_was_given(path, store):
    spec = resolve("paper-7b", {"seed": 3})
    job = store.create_job(spec, None)
    again = SqliteJobStore(path).get_job(job.id)
    assert again == job
    assert (again.spec, again.preset, again.state, again.attempt) == (spec, None, "queued", 1)


def test_transitions_are_logged_with_their_cause(store, job):
    run_to(store, job, "running")
    store.set_state(job.id, "failed", attempt=1, cause="disk full")
    states = [e for e in store.events(job.id) if e.type == "state"]
    assert [(e.data["from"], e.data["to"]) for e in states] == [
        ("queued", "starting"),
        ("starting", "running"),
        ("running", "failed"),
    ]
    assert states[-1].level == "error"
    assert states[-1].data["cause"] == store.get_job(job.id).cause == "disk full"


def test_an_illegal_transition_says_what_is_allowed_and_writes_nothing(store, job):
    before = (store.get_job(job.id), store.events(job.id))
    with pytest.raises(IllegalTransition) as caught:
        store.set_state(job.id, "succeeded", attempt=1)
    assert caught.value.allowed == ("starting", "failed", "cancelled", "interrupted")
    assert (store.get_job(job.id), store.events(job.id)) == before


def test_the_queue_is_reached_by_a_new_attempt_only(store, job):
    store.set_state(job.id, "interrupted", attempt=1)
    with pytest.raises(IllegalTransition):
        store.set_state(job.id, "queued", attempt=1)


def test_the_same_state_again_changes_nothing(store, job):
    first = store.set_state(job.id, "starting", attempt=1)
    assert store.set_state(job.id, "starting", attempt=1) == first
    assert [e.type for e in store.events(job.id)] == ["created", "state"]


def old_writes(store, job_id):
    return {
        "set_state": lambda: store.set_state(job_id, "starting", attempt=1),
        "set_ray_submission": lambda: store.set_ray_submission(job_id, 1, "x"),
        "heartbeat": lambda: store.heartbeat(job_id, 1, {}),
        "append_event": lambda: store.append_event(job_id, "note", "", attempt=1),
        "append_metrics": lambda: store.append_metrics(job_id, 1, 1, {}),
        "truncate_metrics": lambda: store.truncate_metrics(job_id, 1, 0),
        "take_commands": lambda: store.take_commands(job_id, 1),
    }


@pytest.mark.parametrize("write", old_writes(None, ""))
def test_a_stale_attempt_writes_nothing(store, job, write):
    store.append_metrics(job.id, 1, 1, {"entropy": 0.5})
    store.set_state(job.id, "interrupted", attempt=1)
    store.begin_attempt(job.id)
    store.send_command(job.id, "stop", {})
    before = (store.get_job(job.id), store.events(job.id), store.metrics(job.id))
    with pytest.raises(StaleAttempt):
        old_writes(store, job.id)[write]()
    assert (store.get_job(job.id), store.events(job.id), store.metrics(job.id)) == before
    assert len(store.take_commands(job.id, 2)) == 1


@pytest.mark.parametrize(
    "write", ["heartbeat", "append_metrics", "truncate_metrics", "take_commands"]
)
def test_the_driver_of_an_ended_job_is_told_to_stop(store, job, write):
    store.set_state(job.id, "cancelled", attempt=None)
    with pytest.raises(StaleAttempt, match="must stop"):
        old_writes(store, job.id)[write]()


def test_resuming_opens_a_new_attempt_and_drops_old_commands(store, job):
    run_to(store, job, "running")
    store.set_ray_submission(job.id, 1, "ray-1")
    store.send_command(job.id, "cancel", {})
    assert store.get_job(job.id).cancel_requested_at is not None
    store.set_state(job.id, "interrupted", attempt=1, cause="stop")
    again = store.begin_attempt(job.id)
    assert (again.state, again.attempt, again.cause) == ("queued", 2, None)
    assert again.ray_submission_id is None
    assert again.cancel_requested_at is None
    assert again.finished_at is None
    assert store.take_commands(job.id, 2) == []


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "cancelled"])
def test_only_interrupted_and_failed_jobs_resume(store, job, state):
    if state == "cancelled":
        store.set_state(job.id, "cancelled", attempt=None)
    elif state != "queued":
        run_to(store, job, state)
    with pytest.raises(IllegalTransition):
        store.begin_attempt(job.id)


def test_a_wish_for_a_stage_outlives_the_attempt_it_was_sent_to(store, job):
    store.send_command(job.id, "stage", {"to": "next"})
    store.send_command(job.id, "stop", {})
    store.set_state(job.id, "interrupted", attempt=1)
    store.begin_attempt(job.id)
    assert [(c.kind, c.data) for c in store.take_commands(job.id, 2)] == [("stage", {"to": "next"})]


def test_a_job_without_a_driver_takes_no_commands(store, job):
    store.set_state(job.id, "cancelled", attempt=None)
    with pytest.raises(IllegalTransition):
        store.send_command(job.id, "stop", {})


def test_metrics_are_paged_replaced_and_truncated(store, job):
    for step in range(1, 11):
        store.append_metrics(job.id, 1, step, {"entropy": step / 10})
    store.append_metrics(job.id, 1, 10, {"entropy": 7.0})
    assert [m["step"] for m in store.metrics(job.id, 4, 3)] == [5, 6, 7]
    assert store.latest_metrics(job.id)["entropy"] == 7.0
    assert store.truncate_metrics(job.id, 1, 6) == 4
    assert [m["step"] for m in store.metrics(job.id)] == [1, 2, 3, 4, 5, 6]


def test_what_json_cannot_hold_becomes_null(store, job):
    record = {"loss": math.nan, "seconds": {"train": math.inf}, "list": [1.0, -math.inf]}
    store.append_metrics(job.id, 1, 1, record)
    found = store.metrics(job.id)[0]
    assert (found["loss"], found["seconds"], found["list"]) == (None, {"train": None}, [1.0, None])


def test_pages_of_jobs_do_not_shift_when_jobs_are_added(store):
    spec = resolve("tiny-cpu")
    ids = [store.create_job(spec, None).id for _ in range(5)]
    page, cursor = store.list_jobs(2)
    assert [j.id for j in page] == [ids[4], ids[3]]
    store.create_job(spec, None)
    page, cursor = store.list_jobs(2, cursor)
    assert [j.id for j in page] == [ids[2], ids[1]]
    page, cursor = store.list_jobs(2, cursor)
    assert ([j.id for j in page], cursor) == ([ids[0]], None)


def test_jobs_are_filtered_and_counted_by_state(store):
    spec = resolve("tiny-cpu")
    ids = [store.create_job(spec, None).id for _ in range(3)]
    store.set_state(ids[1], "cancelled", attempt=None)
    page, _ = store.list_jobs(10, states={"cancelled"})
    assert [j.id for j in page] == [ids[1]]
    assert store.count_jobs("training") == {"queued": 2, "cancelled": 1}


def test_an_unknown_job_is_said_to_be_unknown(store):
    for call in (
        lambda: store.get_job("job-x"),
        lambda: store.events("job-x"),
        lambda: store.metrics("job-x"),
        lambda: store.list_jobs(1, "job-x"),
        lambda: store.set_state("job-x", "cancelled", attempt=None),
    ):
        with pytest.raises(JobNotFound, match="job-x"):
            call()


def test_a_newer_layout_is_refused(path, store):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(UnknownLayout, match="upgrade"):
        SqliteJobStore(path)


# -- kinds of job -----------------------------------------------------------------------------


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
    assert [j.id for j in store.list_jobs(kind="training")[0]] == [job.id]
    assert [j.id for j in store.list_jobs(kind="evaluation")[0]] == [made.id]
    assert (store.count_jobs("training"), store.count_jobs("evaluation")) == (
        {"queued": 1},
        {"queued": 1},
    )
    with pytest.raises(JobNotFound, match=f"/v1/evaluations/{made.id}"):
        _ = store.get_job(made.id).training
    with pytest.raises(JobNotFound, match=f"/v1/jobs/{job.id}"):
        _ = store.get_job(job.id).evaluation


def test_a_database_from_before_evaluations_keeps_its_jobs(path, store, job):
    run_to(store, job, "running")
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE jobs DROP COLUMN kind")
        database.execute("PRAGMA user_version = 1")
    later = SqliteJobStore(path)
    assert later.get_job(job.id).training == job.spec
    assert later.get_job(job.id).state == "running"
    assert later.create_job(evaluation(), None).kind == "evaluation"
