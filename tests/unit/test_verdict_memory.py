"""What the pool remembers, for how long, and what it must not."""

from __future__ import annotations

import pytest

from services.verification import verdict_memory
from services.verification.case import Case
from services.verification.lane import Lane
from services.verification.tolerance import Tolerance
from services.verification.verdict_memory import (
    QUARANTINE_SECONDS,
    SLOW_SECONDS,
    Outcome,
    VerdictMemory,
    key_of,
    shape_of,
)


def test_the_key_depends_on_everything_a_verdict_does():
    cases = [
        Case(("1", "2"), "3"),
        Case(("12",), "3"),
        Case(("1",), "23"),
        Case(("1", "2"), "3", "eval"),
        Case(("1", "2"), "3", "reward", Tolerance(absolute=0.1)),
        Case(("1", "2"), "3", "reward", Tolerance(relative=0.1)),
        Case(("1",), "\ud800"),
    ]
    assert len({key_of(c) for c in cases}) == len(cases)
    assert key_of(cases[0]) == key_of(Case(("1", "2"), "3", "reward"))


@pytest.mark.parametrize("verdict", ["correct", "incorrect", "unparsable"])
def test_verdicts_about_the_answer_are_kept(verdict):
    memory = VerdictMemory()
    memory.keep(b"k", Outcome(verdict, "r"))
    assert memory.recall(b"k") == Outcome(verdict, "r")
    assert memory.recall(b"other") is None


@pytest.mark.parametrize("verdict", ["timeout", "error"])
def test_verdicts_about_an_attempt_are_not_kept(verdict):
    memory = VerdictMemory()
    memory.keep(b"k", Outcome(verdict, "r"))
    assert memory.recall(b"k") is None


def test_an_answer_that_overran_leaves_quarantine_after_its_time():
    memory = VerdictMemory()
    assert not memory.quarantined(b"k", 100.0)
    memory.quarantine(b"k", 100.0)
    assert memory.quarantined(b"k", 100.0 + QUARANTINE_SECONDS - 1)
    assert not memory.quarantined(b"k", 100.0 + QUARANTINE_SECONDS)


def test_the_newest_answer_of_a_shape_decides_its_lane_for_a_while():
    memory = VerdictMemory()
    assert memory.lane_of("shape", 0.0) is Lane.FAST
    memory.place("shape", Lane.LAST, 1.0)
    assert memory.lane_of("shape", SLOW_SECONDS) is Lane.LAST
    assert memory.lane_of("shape", SLOW_SECONDS + 1.0) is Lane.FAST
    for _ in range(2):
        memory.place("shape", Lane.SLOW, 2.0)
    assert memory.lane_of("shape", 3.0) is Lane.SLOW
    memory.place("shape", Lane.FAST, 4.0)
    assert memory.lane_of("shape", 5.0) is Lane.FAST


def test_one_slow_answer_of_a_quick_shape_is_an_accident_and_two_in_a_row_are_not():
    memory = VerdictMemory()
    memory.suspect("overran", Lane.LAST, 0.0)
    assert memory.lane_of("overran", 0.0) is Lane.LAST
    for expected in (Lane.FAST, Lane.SLOW):
        memory.suspect("new", Lane.SLOW, 0.0)
        assert memory.lane_of("new", 0.0) is expected
    memory.place("quick", Lane.FAST, 0.0)
    for _ in range(3):
        memory.suspect("quick", Lane.LAST, 1.0)
        assert memory.lane_of("quick", 1.0) is Lane.FAST
        memory.place("quick", Lane.FAST, 2.0)
    memory.suspect("quick", Lane.LAST, 3.0)
    memory.suspect("quick", Lane.LAST, 3.0)
    assert memory.lane_of("quick", 3.0) is Lane.LAST


def test_a_new_shape_made_of_what_was_never_quick_begins_in_the_slow_lane():
    memory = VerdictMemory()
    for shape, expected in ((r"\int\sin(x)", Lane.FAST), (r"\int 0\sin(x)", Lane.SLOW)):
        memory.suspect(shape, Lane.LAST, 0.0)
        assert memory.lane_of(r"\sin(0)\int x+\sin(x)", 1.0) is expected
    assert memory.lane_of(r"\int x", 1.0) is Lane.FAST  # no \sin
    # One quick answer of the family, and only shapes that were slow themselves are.
    memory.place(r"\int x\sin(0)", Lane.FAST, 2.0)
    memory.suspect(r"\int\sin(\sin(x))", Lane.LAST, 3.0)
    assert memory.lane_of(r"\sin(0)\int x+\sin(x)", 4.0) is Lane.FAST
    assert memory.lane_of(r"\int\sin(x)", 4.0) is Lane.LAST
    assert memory.lane_of(r"\int\sin(\sin(x))", 4.0) is Lane.LAST


def test_answers_without_any_command_are_no_family():
    memory = VerdictMemory()
    for shape in ("x+0y", "0x+y"):
        memory.suspect(shape, Lane.LAST, 0.0)
    assert memory.lane_of("x+0z-0", 0.0) is Lane.FAST


def test_it_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(verdict_memory, "CAPACITY", 3)
    memory = VerdictMemory()
    for i in range(5):
        memory.keep(b"%d" % i, Outcome("correct", "r"))
        memory.quarantine(b"%d" % i, 0.0)
        memory.recall(b"0")
    # The one that was asked for all along is still there.
    assert [memory.recall(b"%d" % i) is not None for i in range(5)] == [True, False, False, 1, 1]
    assert [memory.quarantined(b"%d" % i, 1.0) for i in range(5)] == [False, False, True, 1, 1]


def test_a_shape_leaves_numbers_spaces_and_names_of_one_letter_open():
    integral = shape_of(r"\int_0^{12} x^x dx")
    assert integral == shape_of(r"\int_0^{345}  t^t dt") == r"\int_0^{0}x^xx"
    assert integral != shape_of(r"\int_0^{12} \sin x dx")
    assert shape_of("it is oak") != shape_of("it is elm")
    assert len(shape_of("x" * 10**6)) <= 2048
