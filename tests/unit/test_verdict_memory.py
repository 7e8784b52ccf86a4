"""What the pool remembers, for how long, and what it must not."""

from __future__ import annotations

import pytest

from services.verification import verdict_memory
from services.verification.case import Case
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
    memory.overran(b"k", "shape", 100.0)
    assert memory.quarantined(b"k", 100.0 + QUARANTINE_SECONDS - 1)
    assert not memory.quarantined(b"k", 100.0 + QUARANTINE_SECONDS)
    assert memory.looks_hopeless("shape", 100.0 + QUARANTINE_SECONDS)
    assert not memory.looks_hopeless("shape", 100.0 + SLOW_SECONDS)


def test_a_quick_answer_clears_the_name_of_its_shape():
    memory = VerdictMemory()
    memory.note("slow", slow=True, now=0.0)
    memory.overran(b"k", "hopeless", 0.0)
    assert memory.looks_slow("slow", 1.0)
    assert not memory.looks_hopeless("slow", 1.0)
    assert memory.looks_slow("hopeless", 1.0)
    for shape in ("slow", "hopeless"):
        memory.note(shape, slow=False, now=2.0)
        assert not memory.looks_slow(shape, 3.0)
        assert not memory.looks_hopeless(shape, 3.0)


def test_it_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(verdict_memory, "CAPACITY", 3)
    memory = VerdictMemory()
    for i in range(5):
        memory.keep(b"%d" % i, Outcome("correct", "r"))
        memory.overran(b"%d" % i, str(i), 0.0)
        memory.recall(b"0")
    # The one that was asked for all along is still there.
    assert [memory.recall(b"%d" % i) is not None for i in range(5)] == [True, False, False, 1, 1]
    assert [memory.quarantined(b"%d" % i, 1.0) for i in range(5)] == [False, False, True, 1, 1]


def test_a_shape_is_the_text_without_numbers_and_spaces():
    assert shape_of(r"\int_0^{12} x dx") == shape_of(r"\int_0^{345}  x dx")
    assert shape_of(r"\int_0^1 x dx") != shape_of(r"\int_0^1 y dx")
    assert len(shape_of("x" * 10**6)) <= 2048
