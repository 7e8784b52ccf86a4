"""The checker of recorded histories sees each violation it is there for, and nothing in a good
history."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.restarts.history import History, Job, Op, Run, Step
from tests.integration.restarts.history_check import RULES, check


def event(id: int, time: float, type: str, *, attempt: int | None = 1, **more: Any) -> dict:
    reason = more.pop("reason", None)
    return {
        "id": id,
        "time": time,
        "type": type,
        "attempt": attempt,
        "data": more,
        "reason": reason,
    }


def move(id: int, time: float, start: str, to: str, attempt: int = 1, **more: Any) -> dict:
    return event(id, time, "state", attempt=attempt, **{"from": start, "to": to}, **more)


EVENTS = [
    event(1, 1.0, "created"),
    move(2, 2.0, "queued", "starting"),
    move(3, 2.1, "starting", "running"),
    event(4, 2.5, "command", attempt=None, kind="stage", to="next", reason="c0-2-stage"),
    move(5, 4.0, "running", "failed"),
    move(6, 5.0, "failed", "queued", 2, reason="c1-1-resume"),
    move(7, 6.0, "queued", "starting", 2),
    move(8, 6.1, "starting", "running", 2),
    event(9, 7.0, "command", attempt=None, kind="cancel", reason="c1-3-cancel"),
    move(10, 7.0, "running", "stopping", 2, reason="c1-3-cancel"),
    move(11, 8.0, "stopping", "cancelled", 2),
]


def op(kind: str, key: str, begin: float, end: float, **seen: Any) -> Op:
    job = "" if kind == "create" else "job-a"
    return Op(key[:2], kind, key, begin, job, end, 1, "ok", 200, seen)


def good() -> History:
    """Two clients and a job: created, its driver killed, resumed, cancelled."""
    shown = {"state": "cancelled", "attempt": 2, "revision": 9}
    return History(
        seed=7,
        backend="sqlite",
        ops=[
            op(
                "create", "c0-1-create", 0.9, 1.1, id="job-a", state="queued", attempt=1, revision=1
            ),
            op("stage", "c0-2-stage", 2.4, 2.6),
            op("resume", "c1-1-resume", 4.9, 5.1, state="queued", attempt=2, revision=6),
            op("events", "c0-3-events", 5.2, 5.3, after=0, events=deepcopy(EVENTS[:6])),
            op("stream", "c0-4-stream", 5.4, 6.5, after=6, events=deepcopy(EVENTS[6:8])),
            op("cancel", "c1-3-cancel", 6.9, 7.1, state="stopping", attempt=2, revision=8),
            op("read", "c0-5-read", 8.5, 8.6, id="job-a", **shown),
        ],
        runs=[
            Run("job-a", 1, 100, 1.8, 3.5, -9),
            Run("job-a", 2, 101, 5.5, 8.2, 0),
        ],
        steps=[Step("job-a", 1, 1, 2.2, 2.3), Step("job-a", 2, 2, 6.2, 6.3)],
        jobs=[
            Job(
                "job-a",
                "cancelled",
                2,
                9,
                {"key": "c0-1-create", "steps": "9"},
                deepcopy(EVENTS),
                [(1, 1), (2, 2)],
            )
        ],
    )


def test_a_good_history_has_no_violation():
    assert check(good()) == []


def _job(history: History) -> Job:
    return history.jobs[0]


def lost(h):
    h.jobs, h.runs, h.steps = [], [], []


def created_twice(h):
    h.jobs.append(replace(_job(h), id="job-b"))
    h.steps = []


def created_by_nobody(h):
    _job(h).labels["key"] = "c9-9-create"


def denied(h):
    h.ops[6].outcome, h.ops[6].status, h.ops[6].seen = "refused", 404, {}


def two_live(h):
    h.runs[0].end = 5.6


def never_ended_and_resumed(h):
    h.runs[0].end = None


def doubled(h):
    h.runs.append(Run("job-a", 2, 102, 8.3, 8.4, 0))


def unknown_attempt(h):
    h.runs.append(Run("job-a", 3, 102, 8.3, 8.4, 0))


def gap(h):
    del _job(h).events[3]
    del h.ops[1]


def repeated_id(h):
    _job(h).events[8]["id"] = 8


def read_with_a_gap(h):
    del h.ops[3].seen["events"][2]


def stream_that_missed_one(h):
    h.ops[4].seen["after"] = 5


def read_what_is_not_kept(h):
    h.ops[3].seen["events"] = [*EVENTS[:5], {**EVENTS[5], "time": 5.01}]


def left_a_terminal_state(h):
    _job(h).events.append(move(12, 9.0, "cancelled", "queued", 3))
    _job(h).state = "queued"


def jumped(h):
    _job(h).events[6]["data"]["from"] = "running"


def illegal(h):
    _job(h).events[1]["data"]["to"] = "running"
    _job(h).events[2]["data"]["from"] = "running"


def is_not_where_the_log_says(h):
    _job(h).state = "paused"


def went_back(h):
    h.ops[6].seen["revision"] = 7


def attempt_went_back(h):
    h.ops.append(op("read", "c0-6-read", 9, 9.1, state="cancelled", attempt=1, revision=9))


def terminal_state_changed(h):
    h.ops.append(op("read", "c0-6-read", 7.5, 7.6, state="succeeded", attempt=2, revision=8))


def step_after_cancelled(h):
    h.steps.append(Step("job-a", 2, 3, 7.9, 8.1))


def step_after_failed(h):
    h.steps.append(Step("job-a", 1, 2, 4.1, 4.2))


def step_of_no_driver(h):
    h.steps.append(Step("job-a", 3, 3, 7.1, 7.2))


def stage_twice(h):
    _job(h).events.append(
        event(12, 9.0, "command", attempt=None, kind="stage", reason="c0-2-stage")
    )


def stage_forgotten(h):
    _job(h).events[3]["reason"] = None


def resume_forgotten(h):
    _job(h).events[5]["reason"] = None


def cancel_forgotten(h):
    _job(h).events[10]["data"]["to"] = _job(h).state = "interrupted"


def refused_but_done(h):
    h.ops[2].outcome, h.ops[2].status, h.ops[2].seen = "refused", 409, {}


def still_at_work(h):
    del _job(h).events[10]
    _job(h).state = "stopping"


def driver_left(h):
    h.runs[1].end = None


def step_records_with_a_gap(h):
    _job(h).steps = [(1, 1), (3, 2)]


def step_records_of_an_old_attempt(h):
    _job(h).steps = [(1, 2), (2, 1)]


def succeeded_too_early(h):
    _job(h).events[10]["data"]["to"] = _job(h).state = "succeeded"


def fault(h):
    h.ops[1].status, h.ops[1].outcome = 500, "unknown"


BAD = [
    ("created_once", [lost, created_twice, created_by_nobody, denied]),
    ("one_live_attempt", [two_live, never_ended_and_resumed, doubled, unknown_attempt]),
    (
        "events_are_dense",
        [gap, repeated_id, read_with_a_gap, stream_that_missed_one, read_what_is_not_kept],
    ),
    (
        "moves_are_legal",
        [left_a_terminal_state, jumped, illegal, is_not_where_the_log_says],
    ),
    ("reads_only_move_on", [went_back, attempt_went_back, terminal_state_changed]),
    (
        "nothing_after_the_record",
        [step_after_cancelled, step_after_failed, step_of_no_driver],
    ),
    (
        "wishes_count_once",
        [
            stage_twice,
            stage_forgotten,
            resume_forgotten,
            cancel_forgotten,
            refused_but_done,
        ],
    ),
    (
        "everything_settles",
        [
            still_at_work,
            driver_left,
            step_records_with_a_gap,
            step_records_of_an_old_attempt,
            succeeded_too_early,
        ],
    ),
    ("nobody_saw_a_fault", [fault]),
]


@pytest.mark.parametrize(
    ("rule", "spoil"), [(rule, spoil) for rule, spoils in BAD for spoil in spoils]
)
def test_a_planted_violation_is_seen(rule, spoil):
    history = good()
    spoil(history)
    assert rule in {v.rule for v in check(history)}


def test_each_rule_has_violations_planted():
    assert [rule for rule, _ in BAD] == [rule.__name__ for rule in RULES]


def test_what_nobody_knows_the_outcome_of_may_have_been_done_or_not():
    history = good()
    history.ops[1].outcome = "unknown"
    assert check(history) == []
    history.ops[0].outcome, history.ops[0].seen = "unknown", {}
    assert check(history) == []


def test_a_history_can_be_read_by_a_person():
    text = good().of_job("job-a")
    assert text.index("create c0-1-create") < text.index("attempt 1 has done step 1")
    assert "driver of attempt 1 ends: -9" in text
