"""E3, E6, E9 and E10: rewards of single responses and their exclusion."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.objectives import Compress, Explore, Repetition
from algorithms.rewards import ResponseFacts, compress_rewards, explore_rewards

VERDICTS = ("correct", "incorrect", "unparsable", "timeout", "error")


def facts(*rows):
    """Rows of (verdict, length, finished, well_formed); half of each length is thinking."""
    verdict, length, finished, well_formed = zip(*rows, strict=True)
    length = np.array(length)
    return ResponseFacts(verdict, length, length // 2, np.array(finished), np.array(well_formed))


any_rows = st.lists(
    st.tuples(st.sampled_from(VERDICTS), st.integers(1, 20_000), st.booleans(), st.booleans()),
    min_size=1,
    max_size=8,
)


def test_compress_pays_correct_answers_by_length_and_nothing_else():
    scored = compress_rewards(
        Compress(length_clip=100, r=0.25),
        facts(
            ("correct", 50, True, False),
            ("correct", 100, True, True),
            ("correct", 101, True, True),
            ("correct", 50, False, True),
            ("incorrect", 50, True, True),
            ("unparsable", 50, True, False),
            ("timeout", 50, True, True),
            ("error", 50, True, True),
        ),
    )
    np.testing.assert_allclose(scored.reward, [0.5, 0.25, 0, 0, 0, 0, 0, 0], rtol=1e-6)
    assert scored.disposition == (
        "train",
        "train",
        "truncated",
        "truncated",
        "incorrect",
        "unparsable",
        "verifier_timeout",
        "verifier_error",
    )
    assert scored.trained.tolist() == [True, True] + [False] * 6


def test_wrong_and_unreadable_answers_may_cost_something():
    objective = Explore(answer_reward=1, format_reward=0, incorrect_reward=-0.5)
    rows = facts(
        ("correct", 5, True, True),
        ("correct", 5, False, True),
        ("incorrect", 5, True, True),
        ("unparsable", 5, True, False),
        ("timeout", 5, True, True),
    )
    np.testing.assert_allclose(explore_rewards(objective, rows).reward, [1, -0.5, -0.5, 0, 0])
    laser = objective.model_copy(update={"unparsable_reward": -1.0})
    np.testing.assert_allclose(explore_rewards(laser, rows).reward, [1, -0.5, -0.5, -1, 0])


def test_length_may_cost_correct_answers_only():
    objective = Explore(length_threshold=10, length_unit=10, length_penalty=0.25)
    rows = facts(("correct", 20, True, True), ("incorrect", 20, True, True))
    both = explore_rewards(objective, rows).components["length"]
    np.testing.assert_allclose(both, [-0.25, -0.25])
    chosen = objective.model_copy(update={"length_of": "correct"})
    np.testing.assert_allclose(explore_rewards(chosen, rows).components["length"], [-0.25, 0])


def test_compress_calls_a_long_wrong_answer_truncated_but_an_unjudged_one_unjudged():
    scored = compress_rewards(
        Compress(length_clip=10),
        facts(
            ("incorrect", 11, False, False),
            ("unparsable", 10, False, False),
            ("timeout", 11, False, False),
        ),
    )
    assert scored.disposition == ("truncated", "truncated", "verifier_timeout")


@given(any_rows)
def test_compress_trains_exactly_on_positive_rewards(rows):
    objective = Compress(length_clip=4096)
    scored = compress_rewards(objective, facts(*rows))
    assert ((scored.reward > 0) == scored.trained).all()
    # The clip is the last length that is paid, and it is paid r.
    assert (scored.reward[scored.trained] >= np.float32(objective.r) * (1 - 1e-6)).all()
    assert scored.reward.dtype == np.float32


def test_explore_adds_format_answer_and_length():
    scored = explore_rewards(
        Explore(),
        facts(
            ("correct", 4096, True, True),
            ("correct", 5120, True, True),
            ("incorrect", 4096 + 512, True, True),
            ("correct", 4096 + 2048, True, False),
            ("unparsable", 100, True, False),
            ("incorrect", 100, True, False),
        ),
    )
    np.testing.assert_allclose(
        scored.reward, [1.1, 1.1 - 0.25, 0.1 - 0.125, 1 - 0.5, 0, 0], atol=1e-6
    )
    np.testing.assert_allclose(scored.components["format"], [0.1, 0.1, 0.1, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(scored.components["answer"], [1, 1, 0, 1, 0, 0])
    np.testing.assert_allclose(scored.components["length"], [0, -0.25, -0.125, -0.5, 0, 0])
    assert set(scored.disposition) == {"train"}


def test_explore_takes_repetition_above_the_threshold_linearly_and_only_if_asked():
    rows = [("correct", 100, True, True)] * 4 + [("timeout", 100, True, True)]
    given = replace(facts(*rows), repetition=np.array([0.2, 0.6, 1, 0, 1], dtype=np.float32))
    objective = Explore(repetition=Repetition(weight=0.5, threshold=0.2))
    scored = explore_rewards(objective, given)
    np.testing.assert_allclose(scored.components["repetition"], [0, -0.25, -0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(scored.reward, [1.1, 0.85, 0.6, 1.1, 0], atol=1e-6)
    assert "repetition" not in explore_rewards(Explore(), given).components
    with pytest.raises(ValueError, match="no repetition rate"):
        explore_rewards(objective, facts(*rows))


def test_explore_length_penalty_has_the_slope_of_one_over_4096_and_a_floor():
    lengths = (4095, 4096, 4097, 8191, 8192, 8193, 50_000)
    scored = explore_rewards(Explore(), facts(*(("incorrect", n, True, False) for n in lengths)))
    expected = [0, 0, -1 / 4096, -4095 / 4096, -1, -1, -1]
    np.testing.assert_allclose(scored.components["length"], expected, atol=1e-7)


def test_explore_pays_neither_format_nor_answer_without_an_end_token():
    scored = explore_rewards(Explore(), facts(("correct", 100, False, True)))
    assert scored.reward.tolist() == [0.0]
    assert scored.disposition == ("train",)


def test_explore_excludes_what_the_verifier_could_not_judge():
    scored = explore_rewards(
        Explore(), facts(("timeout", 9000, True, True), ("error", 9000, True, True))
    )
    assert scored.disposition == ("verifier_timeout", "verifier_error")
    assert all((column == 0).all() for column in (scored.reward, *scored.components.values()))


@given(any_rows)
def test_explore_reward_is_the_sum_of_its_components(rows):
    scored = explore_rewards(Explore(length_threshold=1000), facts(*rows))
    total = sum(scored.components.values())
    np.testing.assert_allclose(scored.reward, total, atol=1e-6)
    assert (scored.components["length"] <= 0).all()
    assert (scored.components["length"] >= -1).all()


def test_facts_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        ResponseFacts(("correct",) * 2, *[np.array([1])] * 2, *[np.array([True])] * 2)


@pytest.mark.parametrize(("what", "measured"), [("response", 80), ("think", 40), ("answer", 40)])
def test_compress_shapes_the_length_it_is_told_to_measure(what, measured):
    objective = Compress(length_clip=100, r=0.25, measured_length=what, shaping="linear")
    rewards = compress_rewards(objective, facts(("correct", 80, True, True))).reward
    assert rewards.tolist() == pytest.approx([1 - 0.75 * measured / 100])


def test_the_clip_sees_the_whole_response_whatever_the_shaping_measures():
    objective = Compress(length_clip=100, measured_length="answer")
    assert compress_rewards(objective, facts(("correct", 101, True, True))).reward.tolist() == [0]


@pytest.mark.parametrize(
    ("form", "unit", "length", "reward"),
    [
        ("linear", 1024, 4096 + 512, -0.125),
        ("stepwise", 1024, 4096 + 1023, 0.0),
        ("stepwise", 1024, 4096 + 1024, -0.25),
        ("stepwise", 1000, 4096 + 1024, -0.25),
        ("linear", 1000, 4096 + 500, -0.125),
    ],
)
def test_explore_length_reward_is_linear_or_in_steps(form, unit, length, reward):
    objective = Explore(length_form=form, length_unit=unit)
    parts = explore_rewards(objective, facts(("correct", length, True, True))).components
    assert parts["length"].tolist() == pytest.approx([reward])
