"""A job store under several processes and threads at once."""

from __future__ import annotations

import multiprocessing
import threading

from services.presets.registry import resolve
from services.stores.protocol import IllegalTransition
from tests.integration.stores.processes import (
    WAIT_SECONDS,
    WRITERS,
    in_processes,
    results_of,
)

EACH = 40


def _write(place, job_id, barrier):
    store = place.open()
    barrier.wait(WAIT_SECONDS)
    for i in range(EACH):
        store.append_event(job_id, "note", f"{i}", attempt=1)
        store.heartbeat(job_id, 1, {"step": i})
        store.append_metrics(job_id, 1, i + 1, {"entropy": i})


def test_event_ids_are_dense_when_processes_write_at_once(place, store, job):
    in_processes(_write, place, job.id)
    events = store.events(job.id, limit=10_000)
    assert [e.id for e in events] == list(range(1, 1 + WRITERS * EACH + 1))
    assert sorted(int(e.message) for e in events if e.type == "note") == sorted(
        i for i in range(EACH) for _ in range(WRITERS)
    )
    assert [m["step"] for m in store.metrics(job.id)] == list(range(1, EACH + 1))


def _take(place, job_id, results, barrier):
    store = place.open()
    barrier.wait(WAIT_SECONDS)
    found = []
    for _ in range(30):
        found += [c.id for c in store.take_commands(job_id, 1)]
    results.put(found)


def test_each_command_is_taken_once_though_two_processes_ask(place, store, job):
    sent = [store.send_command(job.id, "stage", {"to": "next"}) for _ in range(40)]
    taken = results_of(_take, place, job.id, count=2)
    assert sorted(taken[0] + taken[1]) == sent


def _send_and_take(place, job_id, results, barrier):
    """Half of the calls send, half take: commands come while others are taken."""
    store = place.open()
    barrier.wait(WAIT_SECONDS)
    sent, found = [], []
    for _ in range(EACH):
        sent.append(store.send_command(job_id, "stage", {}))
        found += [c.id for c in store.take_commands(job_id, 1)]
    results.put((sent, found))


def test_no_command_is_lost_or_taken_twice_while_others_come(place, store, job):
    answers = results_of(_send_and_take, place, job.id, count=3)
    sent = sorted(command for answer in answers for command in answer[0])
    taken = [command for answer in answers for command in answer[1]]
    taken += [c.id for c in store.take_commands(job.id, 1)]
    assert sorted(taken) == sent


def _resume(place, job_id, results, barrier):
    store = place.open()
    barrier.wait(WAIT_SECONDS)
    try:
        results.put(store.begin_attempt(job_id).attempt)
    except IllegalTransition:
        results.put(0)


def test_one_of_several_processes_resumes(place, store, job):
    store.set_state(job.id, "interrupted", attempt=None)
    assert sorted(results_of(_resume, place, job.id, count=3)) == [0, 0, 2]
    assert store.get_job(job.id).attempt == 2


def _end(place, job_id, results, barrier):
    """Race for the terminal state; each process wants another."""
    store = place.open()
    states = ("succeeded", "failed", "cancelled", "interrupted")
    wanted = states[barrier.wait(WAIT_SECONDS) % len(states)]
    try:
        results.put((wanted, store.set_state(job_id, wanted, attempt=1).state))
    except IllegalTransition as refused:
        results.put((wanted, refused.state))


def test_one_of_several_ends_counts_and_all_see_it(place, store, job):
    store.set_state(job.id, "starting", attempt=1)
    store.set_state(job.id, "running", attempt=1)
    answers = results_of(_end, place, job.id, count=4)
    ended = [e.data["to"] for e in store.events(job.id) if e.type == "state"][2:]
    # interrupted may be cancelled afterwards; everything else is the end.
    assert ended in (["succeeded"], ["failed"], ["cancelled"], ["interrupted"]) or ended == [
        "interrupted",
        "cancelled",
    ]
    final = store.get_job(job.id).state
    assert final == ended[-1]
    assert {wanted for wanted, seen in answers if wanted == seen} == set(ended)


def _create(place, results, barrier):
    store = place.open()
    barrier.wait(WAIT_SECONDS)
    spec = resolve("tiny-cpu")
    results.put([store.create_job(spec, None).id for _ in range(10)])


def test_jobs_of_several_processes_are_all_there_in_one_order(place, store):
    made = results_of(_create, place, count=3)
    listed = [j.id for j in store.list_jobs(100)[0]]
    assert sorted(listed) == sorted(job for own in made for job in own)
    for own in made:
        assert [j for j in listed[::-1] if j in own] == own
    pages, cursor = [], None
    while len(pages) < 30:
        page, cursor = store.list_jobs(7, cursor)
        pages += [j.id for j in page]
    assert pages == listed


def _hold(place, results, barrier):
    store = place.open()
    barrier.wait(WAIT_SECONDS)
    results.put(store.hold("x", multiprocessing.current_process().name, 60))


def test_one_of_several_processes_gets_a_lease(place, store):
    assert sorted(results_of(_hold, place, count=4)) == [False, False, False, True]


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
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert errors == []
    assert len(store.metrics(job.id)) == EACH
    assert store.events(job.id, after=WRITERS * EACH)[-1].id == WRITERS * EACH + 1


def test_a_store_outlives_a_fork(store, job):
    """Ray and pytest fork: the child must not talk on its parent's connection."""
    store.append_event(job.id, "note", "parent")

    def child():
        for _ in range(20):
            store.append_event(job.id, "note", "child")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    for _ in range(20):
        store.append_event(job.id, "note", "parent")
    process.join(WAIT_SECONDS)
    assert process.exitcode == 0
    events = store.events(job.id, limit=1000)
    assert [e.id for e in events] == list(range(1, 43))
    assert [e.message for e in events].count("child") == 20
