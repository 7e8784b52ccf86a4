"""What counts as a computation, and on which side of </think> it stands."""

from __future__ import annotations

import pytest

from algorithms.computations import NOTHING, computations, split_computations


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12+5=17", ["12+5=17"]),
        ("12 + 5 = 17.", ["12+5=17"]),
        ("So we get x = 3, and y = 4", ["x=3", "y=4"]),
        ("a = b = c", ["a=b", "b=c"]),
        ("$3 \\cdot 4 \\, = 12$ and $3 × 4 = 12$", ["3*4=12", "3*4=12"]),
        ("\\dfrac{1}{2} = 0.5", ["\\frac{1}{2}=0.5"]),
        ("the answer = 5", []),
        ("x =\n5", []),
        ("\\pi \\approx 3.14", ["\\pi\\approx3.14"]),
        ("no mathematics here", []),
        ("1,234 + 1 = 1,235", ["1,234+1=1,235"]),
    ],
)
def test_computations(text: str, found: list[str]) -> None:
    assert computations(text) == found


def test_the_split_counts_sides_and_repetitions() -> None:
    split = split_computations("1+1=2\n2+3=5\nWait\n1+1=2</think>\n2+3=5 so 5+5=10")
    assert (split.thinking, split.answer, split.repeated) == (3, 2, 2)
    assert split.answer_share == pytest.approx(2 / 5)
    assert split.repeated_share == pytest.approx(2 / 5)


def test_tokens_are_counted_on_both_sides_without_the_tag() -> None:
    split = split_computations("a b c</think>d")
    assert (split.tokens, split.answer_tokens, split.answer_token_share) == (4, 1, 0.25)


def test_an_unfinished_response_computes_in_its_thinking() -> None:
    split = split_computations("1+1=2")
    assert (split.thinking, split.answer, split.answer_share) == (1, 0, 0.0)


def test_nothing_computed_has_no_share() -> None:
    assert split_computations("hello</think>world").answer_share is None
    assert NOTHING.answer_token_share is None


def test_pooled_shares_weigh_computations_not_responses() -> None:
    pooled = split_computations("1=1\n2=2\n3=3</think>") + split_computations("</think>4=4")
    assert pooled.answer_share == pytest.approx(1 / 4)
