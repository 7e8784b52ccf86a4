"""How a driver hears what it is asked and how it ends, with a real store and no cluster."""

from __future__ import annotations

import errno
import os
import signal

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    RayActorError,
    WorkerCrashedError,
)

from actors.attempt import Attempt
from actors.driver import Driver
from services.home import Home
from services.presets.registry import resolve
from services.stores.sqlite import SqliteJobStore


class Run:
    """What a driver asks of its run: the phase it is in, and a checkpoint."""

    def __init__(self, phase):
        self.phase, self.saved = phase, []

    def progress(self):
        return {"step": 3, "phase": self.phase}

    def checkpoint_boundary(self):
        self.saved.append(self.phase)
        return type("Checkpoint", (), {"step": 3})


@pytest.fixture
def store(tmp_path):
    return SqliteJobStore(tmp_path / "jobs.db")


@pytest.fixture
def job(store):
    return store.create_job(resolve("tiny-cpu"), "tiny-cpu").id


class Scripted(Driver):
    """A driver whose work is a list of what happens."""

    def __init__(self, store, tmp_path, job, happens, attempt=1):
        super().__init__(store, Home(tmp_path), job, attempt)
        self.happens, self.killed = happens, False

    def work(self):
        self.run = Run("starting")
        for event in self.happens:
            event(self)

    def kill_workers(self):
        self.killed = True
        self.state_when_freed = self.store.get_job(self.job_id).state


def at(phase):
    """The run gets to a phase and waits there for a moment."""

    def happen(driver):
        driver.run.phase = phase
        driver._next_poll = 0.0
        driver.poll_commands()

    return happen


def running(driver):
    driver.become_running()


def asked(kind, **fields):
    def happen(driver):
        driver.store.send_command(driver.job_id, kind, {}, **fields)

    return happen


def outcome(store, tmp_path, job, *happens):
    driver = Scripted(store, tmp_path, job, happens)
    code = driver.main()
    return driver, code, store.get_job(job)


def test_a_pause_lets_the_step_finish_then_saves_and_frees(store, tmp_path, job):
    seen = []

    def note(driver):
        seen.append((driver.run.phase, store.get_job(job).state))

    step = [at("generate"), note, at("verify"), note, at("train"), note, at("checkpoint"), note]
    driver, code, record = outcome(
        *(store, tmp_path, job, running, asked("pause", author="ada", reason="others first")),
        *(*step, at("boundary"), note),
    )
    assert [phase for phase, _ in seen] == ["generate", "verify", "train", "checkpoint"]
    assert {state for _, state in seen} == {"pausing"}
    assert driver.run.saved == ["boundary"]
    assert (code, record.state, record.cause) == (0, "paused", "paused on request after step 3")
    assert driver.killed
    assert driver.state_when_freed == "paused"
    last = store.events(job)[-1]
    assert (last.author, last.reason) == ("ada", "others first")
    assert store.begin_attempt(job).attempt == 2


@pytest.mark.parametrize("phase", ["starting", "sync", "evaluate", "boundary"])
def test_a_pause_between_steps_waits_for_nothing(store, tmp_path, job, phase):
    _, _, record = outcome(store, tmp_path, job, running, asked("pause"), at(phase))
    assert record.state == "paused"


@pytest.mark.parametrize("phase", ["generate", "verify", "boundary"])
def test_a_stop_cuts_a_step_short_but_not_the_learners(store, tmp_path, job, phase):
    driver, code, record = outcome(
        store, tmp_path, job, running, asked("stop"), at("train"), at("checkpoint"), at(phase)
    )
    assert driver.run.saved == [phase]
    assert (code, record.state) == (0, "interrupted")
    assert record.cause == "stopped on request after step 3"


def test_a_pause_that_came_while_it_started_is_not_run_over(store, tmp_path, job):
    """``running`` is no longer open to the job: the driver finds out why."""
    _, code, record = outcome(store, tmp_path, job, asked("pause"), running, at("train"))
    assert (code, record.state) == (0, "paused")


def test_a_cancel_while_it_started(store, tmp_path, job):
    _, code, record = outcome(store, tmp_path, job, asked("cancel"), running, at("train"))
    assert (code, record.state, record.cause) == (0, "cancelled", "cancelled on request")


def test_a_cancel_overrides_a_pause_under_way(store, tmp_path, job):
    driver, _, record = outcome(
        *(store, tmp_path, job, running, asked("pause"), at("generate")),
        *(asked("cancel", author="bob"), at("generate")),
    )
    assert record.state == "cancelled"
    assert driver.run.saved == []
    assert store.events(job)[-1].author == "bob"


def test_a_cancel_that_comes_while_the_checkpoint_is_written_is_not_lost(store, tmp_path, job):
    class Late(Run):
        def checkpoint_boundary(self):
            store.send_command(job, "cancel", {})
            return super().checkpoint_boundary()

    def late(driver):
        driver.run = Late("boundary")

    _, _, record = outcome(store, tmp_path, job, running, asked("pause"), late, at("boundary"))
    assert (record.state, record.cause) == ("cancelled", "cancelled on request")


def test_a_signal_after_a_pause_changes_nothing(store, tmp_path, job):
    def terminate(driver):
        driver.on_signal(signal.SIGTERM, None)

    _, _, record = outcome(
        *(store, tmp_path, job, running, asked("pause"), at("generate"), terminate),
        *(at("verify"), at("boundary")),
    )
    assert record.state == "paused"


def test_a_checkpoint_that_fails_is_said(store, tmp_path, job):
    class Broken(Run):
        def checkpoint_boundary(self):
            raise OSError("no space left")

    def broken(driver):
        driver.run = Broken("boundary")

    _, _, record = outcome(store, tmp_path, job, running, broken, asked("pause"), at("boundary"))
    assert record.state == "paused"
    assert "no space left" in record.cause
    assert "older checkpoint" in record.cause


def test_a_job_taken_out_of_the_queue_is_left_alone(store, tmp_path, job):
    store.set_state(job, "paused", attempt=1)
    events = store.events(job)
    driver, code, record = outcome(store, tmp_path, job, running)
    assert (code, record.state) == (3, "paused")
    assert driver.run is None
    assert store.events(job) == events


class Machine:
    """Takes every stage but one."""

    @staticmethod
    def request(to):
        if to == "unknown":
            raise ValueError("stage 'unknown' is unknown")
        return to


def begun(driver):
    driver.run.machine = Machine
    driver.begin_stages()


def move(to, **fields):
    def happen(driver):
        driver.store.send_command(driver.job_id, "stage", {"to": to}, **fields)

    return happen


def moves(store, job):
    kinds = ("stage_requested", "stage_refused", "command_refused")
    return [(e.type, e.data["to"], e.attempt) for e in store.events(job) if e.type in kinds]


def test_a_stage_that_was_asked_for_is_logged_with_who_and_why(store, tmp_path, job):
    asked_for = move("exploration", author="ada", reason="plateau")
    outcome(store, tmp_path, job, running, begun, asked_for, at("generate"))
    (event,) = [e for e in store.events(job) if e.type == "stage_requested"]
    assert (event.data, event.author, event.reason) == ({"to": "exploration"}, "ada", "plateau")


def test_a_stage_move_that_comes_before_there_is_a_run_waits_for_it(store, tmp_path, job):
    """Accepted while the job is queued or starts, and taken during the check of its answers."""
    store.send_command(job, "stage", {"to": "exploration"}, author="ada")

    def early(driver):
        driver.run = None
        driver._next_poll = 0.0
        driver._gold_progress(1, 10)
        assert moves(store, job) == []
        driver.run = Run("starting")
        driver._next_poll = 0.0
        move("unknown")(driver)
        driver.poll_commands()
        assert moves(store, job) == []

    outcome(store, tmp_path, job, early, running, begun)
    assert moves(store, job) == [
        ("stage_requested", "exploration", 1),
        ("stage_refused", "unknown", 1),
    ]


class Lost(BaseException):
    """The process ends here."""


def lost(driver):
    raise Lost


def killed(store, tmp_path, job, *happens, attempt=1):
    driver = Scripted(store, tmp_path, job, [*happens, lost], attempt)
    with pytest.raises(Lost):
        driver.main()
    store.set_state(job, "failed", attempt=attempt)
    store.begin_attempt(job)
    return driver


def saved(driver):
    driver.kept = driver.position()
    driver.saved(driver.kept)


def test_a_stage_move_no_checkpoint_holds_is_done_by_the_next_attempt(store, tmp_path, job):
    step = at("generate")
    dead = killed(
        *(store, tmp_path, job, running, begun, move("held"), move("unknown"), step, saved),
        *(move("lost"), step),
    )
    assert [m[1] for m in moves(store, job)] == ["held", "unknown", "lost"]

    def resumed(driver):
        driver.go_on_from(dead.kept, lambda _: False)

    killed(store, tmp_path, job, resumed, running, begun, step, saved, step, attempt=2)
    assert moves(store, job)[3:] == [("stage_requested", "lost", 2)]
    driver = Scripted(store, tmp_path, job, [running, begun, step], 3)
    assert driver.main() == 0
    assert len(moves(store, job)) == 4


def no_room(code=errno.ENOSPC):
    def happen(driver):
        raise OSError(code, os.strerror(code), "step-000003")

    return happen


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("before", [[], [running]], ids=["starting", "running"])
def test_a_disk_without_room_pauses_the_job(store, tmp_path, job, code, before):
    """The error is raised by hand; a real full disk is in the integration and end-to-end tests."""
    driver, exit_code, record = outcome(store, tmp_path, job, *before, no_room(code))
    assert (exit_code, record.state, driver.killed) == (0, "paused", True)
    assert record.cause.startswith("storage_full: ")
    assert os.strerror(code) in record.cause
    last = store.events(job)[-1]
    assert (last.reason, last.author) == ("storage_full", None)
    assert [e.level for e in store.events(job) if e.type == "storage_full"] == ["error"]
    assert store.begin_attempt(job).attempt == 2


def test_a_disk_without_room_does_not_undo_a_cancel_or_a_stop(store, tmp_path, job):
    _, _, record = outcome(store, tmp_path, job, running, asked("stop"), no_room())
    assert record.state == "interrupted"
    assert record.cause.startswith("storage_full: ")
    store.begin_attempt(job)
    driver = Scripted(store, tmp_path, job, [running, asked("cancel"), no_room()], 2)
    driver.main()
    assert store.get_job(job).state == "cancelled"


def test_other_faults_of_a_disk_fail_the_job(store, tmp_path, job):
    _, _, record = outcome(store, tmp_path, job, running, no_room(errno.EIO))
    assert record.state == "failed"


def test_an_attempt_without_a_step_leaves_at_once(store, tmp_path, job):
    class Plain(Attempt):
        def work(self):
            self.become_running()
            store.send_command(job, "pause", {})
            self._next_poll = 0.0
            self.poll_commands()
            pytest.fail("a pause ends the work")

        def current_progress(self):
            return None

    assert Plain(store, Home(tmp_path), job, 1).main() == 0
    assert store.get_job(job).state == "paused"


def raising(error):
    def happen(driver):
        raise error

    return happen


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ActorDiedError(), "interrupted"),
        (ActorUnavailableError("away", None), "interrupted"),
        (WorkerCrashedError(), "interrupted"),
        (RayActorError(actor_init_failed=True), "failed"),
        (ValueError("of its own"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_worker_that_is_gone_is_no_fault_of_the_job(store, tmp_path, job, error, state):
    driver = Scripted(store, tmp_path, job, [running, raising(error)])
    assert driver.main() == 1
    assert store.get_job(job).state == state
    assert driver.killed
    told = [e.type for e in store.events(job) if e.level == "error"]
    assert ("failed" in told) == (state == "failed")
