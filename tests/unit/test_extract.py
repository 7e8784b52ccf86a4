"""Strict extraction: where the answer is read from, and the format flags."""

from __future__ import annotations

import time

import pytest

from services.verification.extract import MAX_ANSWER, extract


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>a</think> \boxed{42}", "42"),
        (r"<think>a</think> \fbox{42}", "42"),
        (r"<think>a</think> \boxed {42}", "42"),
        (r"<think>a</think> \boxed 42.", "42"),
        (r"<think>a</think> \boxed{ 42 }", "42"),
        (r"<think>a</think> \boxed{\frac{1}{2}} done", r"\frac{1}{2}"),
        (r"<think>a</think> \boxed{\{1,2\}}", r"\{1,2\}"),
        (r"<think>a</think> \boxed{1} then \boxed{2}", "2"),
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"</think>\boxed{1}</think> \boxed{2}", "2"),
        (r"</think>\boxed{\text{a \boxed{7} b}}", "7"),
        (r"</think>\boxed{5} and \boxed{6", "5"),
    ],
)
def test_the_last_balanced_box_after_the_last_think_close_is_the_answer(text: str, answer: str):
    found = extract(text)
    assert (found.reason, found.answer) == ("boxed", answer)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (r"The answer is \boxed{7}", "no_think_close"),
        ("", "no_think_close"),
        (r"<think>\boxed{7}</think> see above", "no_box"),
        (r"\boxed{7}</think>\boxed{7</think>", "no_box"),
        (r"</think>\boxed{7", "no_box"),
        (r"</think>\boxedness{7}", "no_box"),
        (r"</think>\boxed{}", "empty_box"),
        (r"</think>\boxed{ $ $ \, }", "empty_box"),
        (r"</think>\boxed{7} \boxed{}", "empty_box"),
        ("</think>\\boxed{" + "1" * (MAX_ANSWER + 1) + "}", "too_long"),
    ],
)
def test_without_an_answer_the_reason_says_why(text: str, reason: str):
    found = extract(text)
    assert (found.answer, found.reason) == (None, reason)
    assert not found.well_formed


@pytest.mark.parametrize(
    ("text", "closes", "boxes", "well_formed"),
    [
        (r"a</think>\boxed{1}", 1, 1, True),
        (r"a\boxed{9}</think>\boxed{1}", 1, 1, True),
        (r"a</think></think>\boxed{1}", 2, 1, False),
        (r"a</think>\boxed{1}\boxed{1}", 1, 2, False),
        (r"a</think>\boxed{1}\boxed{", 1, 2, False),
        (r"a</think>\boxed{}", 1, 1, False),
    ],
)
def test_format_flags_stand_apart(text: str, closes: int, boxes: int, well_formed: bool):
    found = extract(text)
    assert (found.n_think_close, found.n_boxes) == (closes, boxes)
    assert found.well_formed is well_formed


@pytest.mark.parametrize("unit", ["\\boxed{", "{", "}", "\\", "</think>", "\\boxed{1}", "\\boxed "])
def test_a_megabyte_is_read_in_linear_time(unit: str):
    text = "</think>" + unit * (10**6 // len(unit))
    started = time.process_time()
    extract(text)
    assert time.process_time() - started < 2.0
