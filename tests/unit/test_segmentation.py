"""Steps and parts of a response."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.segmentation import MIN_FRAGMENT, count_tokens, reasoning_steps, split_thinking

ONE, TWO, THREE = "one two three four five", "six seven eight nine ten", "a b c d e f"

texts = st.lists(
    st.sampled_from(
        ["\n\n", "\n", " ", "$$", "\\[", "\\]", "```", "</think>", "Wait, ", "x = 1. ", "word "]
    ),
    max_size=40,
).map("".join)


def test_the_last_tag_divides() -> None:
    parts = split_thinking("a</think>b</think>c")
    assert (parts.thinking, parts.answer, parts.closed) == ("a</think>b", "c", True)


def test_thinking_that_never_ends_has_no_answer() -> None:
    parts = split_thinking("a \\boxed{1}")
    assert (parts.thinking, parts.answer, parts.closed) == ("a \\boxed{1}", "", False)


def test_blank_lines_divide_and_the_tag_always_does() -> None:
    text = f"{ONE}\n\n{TWO}\n \n\n{THREE}</think>{ONE}\nsame step"
    assert reasoning_steps(text) == [ONE, TWO, THREE, f"{ONE}\nsame step"]


def test_a_fragment_opens_the_step_after_it_and_the_last_closes_the_one_before() -> None:
    assert reasoning_steps(f"So:\n\n{ONE}\n\n{TWO}\n\nDone.") == [
        f"So:\n\n{ONE}",
        f"{TWO}\n\nDone.",
    ]
    assert reasoning_steps("Yes.") == ["Yes."]
    assert reasoning_steps(" \n\n ") == []


@pytest.mark.parametrize(
    "shielded",
    ["$$a + b\n\n= c + d$$", "\\[a + b\n\n= c + d\\]", "```\nx = 1\n\ny = 2 + 3\n```"],
)
def test_mathematics_and_code_stay_whole(shielded: str) -> None:
    text = f"{ONE}\n\n{shielded}\n\n{TWO}"
    assert reasoning_steps(text) == [ONE, shielded, TWO]


def test_an_open_formula_shields_nothing_and_an_open_fence_everything() -> None:
    assert len(reasoning_steps(f"$$ {ONE}\n\n{TWO}")) == 2
    assert len(reasoning_steps(f"``` {ONE}\n\n{TWO}")) == 1


def test_connectors_divide_where_they_open_a_line_or_a_sentence() -> None:
    text = f"{ONE}. Wait, let me check again.\nHmm, {TWO} is not the Wait I meant"
    assert reasoning_steps(text, "connectors", ("Wait", "Hmm")) == [
        f"{ONE}.",
        "Wait, let me check again.",
        f"Hmm, {TWO} is not the Wait I meant",
    ]
    with pytest.raises(ValueError, match="connectors"):
        reasoning_steps(text, "connectors")


@given(texts, st.sampled_from(["blank-lines", "connectors"]))
def test_no_character_is_lost_and_no_step_is_a_fragment(text, segmenter) -> None:
    steps = reasoning_steps(text, segmenter, ("Wait",))
    parts = split_thinking(text)
    whole = parts.thinking + parts.answer
    assert re.sub(r"\s", "", "".join(steps)) == re.sub(r"\s", "", whole)
    # At most the one step that a whole part consists of is short.
    assert sum(count_tokens(step) < MIN_FRAGMENT for step in steps) <= 2
