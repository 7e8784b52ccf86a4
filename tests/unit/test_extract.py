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
        (r"</think>\boxed{\boxed{7}}", "7"),
        (r"</think>\boxed{\text{a \boxed{7} b}}", r"\text{a 7 b}"),
        (r"</think>\boxed{7 \boxed{8}}", "7 8"),
        (r"</think>\boxed{7 and \boxed{8}", "8"),
        (r"</think>\boxed\frac{1}{2} so", r"\frac{1}{2}"),
        (r"</think>\boxed 1,000 in all", "1,000"),
        ("</think>\\boxed{" + " " * 5000 + "7}", "7"),
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
        (r"a</think> wait <think> so \boxed{7}", "no_think_close"),
        (r"a</think>\boxed{7}<think> or", "no_think_close"),
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


def test_an_empty_think_is_flagged():
    assert extract("<think>\n\n</think> \\boxed{1}").empty_think
    assert extract("\n</think> \\boxed{1}").empty_think
    assert not extract("<think>so</think> \\boxed{1}").empty_think
    assert not extract("so</think></think> \\boxed{1}").empty_think


@pytest.mark.parametrize(
    ("tail", "answer"),
    [
        ("The answer is 42.", "42"),
        ("The final answer is: $\\frac{1}{2}$.", r"\frac{1}{2}"),
        ("**Final Answer:** 42", "42"),
        ("**Answer**: \\(x+1\\)", "x+1"),
        ("#### 18", "18"),
        ("The answer is **42**.", "42"),
        ("**Final Answer**\n\n42", "42"),
        ("## Final answer\n$\\sqrt{2}$.", "\\sqrt{2}"),
        ("$x = 3$", "x = 3"),
        ("1,204", "1,204"),
        ("The answer is 3 or 4", "3 or 4"),
    ],
)
def test_under_eval_a_final_statement_counts(tail: str, answer: str):
    found = extract(f"<think>so</think>\n{tail}", "eval")
    assert (found.reason, found.answer, found.well_formed) == ("stated", answer, False)
    assert extract(f"<think>so</think>\n{tail}").reason == "no_box"


@pytest.mark.parametrize(
    "text",
    [
        "</think> We tried 1, 2 and 7.",
        "</think> 1 2 3 4 5 6 7",
        "</think> So it is 7",
        "</think> The answer is \\boxed{7",
        "</think> See above.",
        "The answer is 7.",
    ],
)
def test_under_eval_too_a_mere_last_number_is_no_answer(text: str):
    assert extract(text, "eval").answer is None


def test_parity_takes_the_last_number_and_reads_what_is_unfinished():
    assert extract("</think> We tried 1, 2 and 1,007.", "thinkless-parity").answer == "1,007"
    assert extract("<think> maybe 6, or 7", "thinkless-parity").answer == "7"
    assert extract(r"<think> \boxed{3} or 7", "thinkless-parity").answer == "3"
    assert extract(r"</think> <think> \boxed{3}", "thinkless-parity").answer == "3"
    assert extract("none", "thinkless-parity").reason == "no_box"


@pytest.mark.parametrize(
    "unit", ["\\boxed{", "{", "}", "\\", "</think>", "\\boxed{1}", "\\boxed ", "\\boxed\\a{"]
)
def test_a_megabyte_is_read_in_linear_time(unit: str):
    text = "</think>" + unit * (10**6 // len(unit))
    started = time.process_time()
    extract(text)
    assert time.process_time() - started < 2.0
