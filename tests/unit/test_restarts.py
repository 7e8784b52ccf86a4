"""When a job goes on by itself: histories in, decisions out."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.restarts import AUTO_RESUMED, Leave, Resume, decide
from services.spec.restarts import LONGEST_PAUSE_SECONDS, RestartSpec
from services.stores.protocol import EventRecord

pytestmark = pytest.mark.unit
THREE = RestartSpec(limit=3, pause_seconds=5)


class Log:
    """Writes a history as the control plane and drivers do."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []

    def add(self, type: str, author: str | None = None, **data: object) -> Log:
        event = EventRecord(len(self.events) + 1, 0.0, type, "", "info", 1, dict(data), author)
        self.events.append(event)
        return self

    def state(self, to: str, author: str | None = None) -> Log:
        return self.add("state", author, to=to)

    def run(self) -> Log:
        return self.state("starting").state("running")

    def lose(self, restarts: RestartSpec = THREE, responses: int | None = None) -> Resume | Leave:
        """The driver is gone: decide, and write down what was decided."""
        progress = None if responses is None else {"responses_done": responses}
        found = decide(self.events, progress, restarts)
        if isinstance(found, Resume):
            self.state("interrupted").state("queued")
            self.add(AUTO_RESUMED, count=found.count, reached=found.reached)
            self.run()
        return found


def test_a_lost_driver_is_replaced_so_many_times_each_after_a_longer_wait():
    log = Log().run()
    found = [log.lose() for _ in range(3)]
    assert [(f.count, f.pause_seconds) for f in found] == [(1, 5), (2, 10), (3, 20)]
    last = log.lose()
    assert isinstance(last, Leave)
    assert "3 times" in last.why


def test_a_new_checkpoint_begins_the_count_anew():
    log = Log().run()
    for step in (20, 40, 60, 80, 100):
        log.add("checkpoint", step=step)
        assert log.lose().count == 1
    assert [log.lose().count for _ in range(2)] == [2, 3]
    assert isinstance(log.lose(), Leave)


def test_a_checkpoint_of_a_step_there_was_before_is_no_progress():
    log = Log().run().add("checkpoint", step=20)
    assert log.lose().count == 1
    log.add("checkpoint", step=20)
    assert log.lose().count == 2


def test_finished_responses_of_an_evaluation_are_progress():
    log = Log().run()
    assert log.lose(responses=64).count == 1
    assert log.lose(responses=128).count == 1
    assert log.lose(responses=None).count == 2  # it died before it said anything
    assert log.lose(responses=128).count == 3
    assert log.lose(responses=192).count == 1


def test_a_person_who_resumes_gives_the_job_all_its_tries_again():
    log = Log().run()
    for _ in range(3):
        log.lose()
    assert isinstance(log.lose(), Leave)
    log.state("failed").state("queued", author="alice").run()
    assert log.lose().count == 1


def test_the_end_of_the_control_plane_neither_counts_nor_waits():
    log = Log().run()
    assert log.lose().count == 1
    for _ in range(9):
        log.add("command", kind="stop")
        found = log.lose()
        assert (found.count, found.pause_seconds, found.at_fault) == (1, 0, False)
    assert log.lose().count == 2
    log.add("checkpoint", step=5).add("command", kind="stop")
    assert log.lose().count == 0
    assert log.lose().count == 1


def test_a_job_that_was_asked_to_pause_does_not_go_on():
    log = Log().run().add("command", "alice", kind="pause")
    found = log.lose()
    assert isinstance(found, Leave)
    assert "pause" in found.why
    # Of an earlier attempt it says nothing.
    log.state("paused").state("queued", author="alice").run()
    assert log.lose().count == 1


def test_zero_leaves_it_to_people_without_a_word():
    log = Log().run()
    assert log.lose(RestartSpec(limit=0)) == Leave(None)
    log.add("command", kind="stop")
    assert log.lose(RestartSpec(limit=0)) == Leave(None)


def test_waits_double_up_to_their_bound():
    many = RestartSpec(limit=100, pause_seconds=5)
    assert [many.pause(n) for n in (1, 2, 3, 7, 8, 100)] == [
        *(5, 10, 20, 320),
        *(LONGEST_PAUSE_SECONDS,) * 2,
    ]
    assert RestartSpec(pause_seconds=0).pause(50) == 0


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"limit": 1.5}, {"pause_seconds": -1}, {"x": 1}])
def test_settings_that_are_none(wrong):
    with pytest.raises(ValidationError):
        RestartSpec(**wrong)
