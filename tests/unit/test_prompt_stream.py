"""The order of questions: seeded, complete, resumable."""

from __future__ import annotations

import pytest

from services.datasets import Question
from services.prompt_stream import PromptStream, derive_seed

QUESTIONS = [Question(id=f"q{i}", question=f"{i}?", gold=(str(i),)) for i in range(10)]


def ids(stream: PromptStream, count: int) -> list[str]:
    return [q.id for q in stream.take(count)]


def test_an_epoch_asks_every_question_once_and_the_next_in_another_order() -> None:
    stream = PromptStream(QUESTIONS, seed=3)
    first, second = ids(stream, 10), ids(stream, 10)
    assert sorted(first) == sorted(second) == sorted(q.id for q in QUESTIONS)
    assert first != second


def test_the_seed_fixes_the_order() -> None:
    assert ids(PromptStream(QUESTIONS, 1), 25) == ids(PromptStream(QUESTIONS, 1), 25)
    assert ids(PromptStream(QUESTIONS, 1), 25) != ids(PromptStream(QUESTIONS, 2), 25)


def test_a_saved_cursor_continues_in_the_middle_of_a_later_epoch() -> None:
    stream = PromptStream(QUESTIONS, 5)
    ids(stream, 13)
    state = stream.state_dict()
    expected = ids(stream, 12)
    other = PromptStream(QUESTIONS, 5)
    other.load_state_dict(state)
    assert ids(other, 12) == expected


def test_restart_begins_anew() -> None:
    stream = PromptStream(QUESTIONS, 5)
    first = ids(stream, 7)
    stream.restart()
    assert ids(stream, 7) == first


def test_nothing_to_ask_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one question"):
        PromptStream([], 0)


def test_seeds_differ_by_every_part_and_fit_31_bits() -> None:
    seeds = {derive_seed(a, b, c) for a in range(5) for b in ("x", "y") for c in range(5)}
    assert len(seeds) == 50
    assert all(0 <= s < 2**31 for s in seeds)
    # Parts must not run into each other.
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
