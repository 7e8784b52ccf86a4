"""From a verified group to advantages and loss settings."""

import numpy as np
import pytest

from algorithms.objectives import Compress, Explore, PolicyLoss
from algorithms.scoring import ScoredGroup, score_group
from tests.unit.trajectories import judge, make_group


def test_compression_has_absolute_advantages_for_positives_only():
    objective = Compress(length_clip=100, r=0.25, beta=2.0)
    group = make_group([50, 100, 50, 100], finished=[True, True, True, False])
    scored = score_group(objective, group, judge("correct", "correct", "incorrect", "correct"))
    np.testing.assert_allclose(scored.rewards, [0.5, 0.25, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(scored.advantages, [1.0, 0.5, 0, 0], rtol=1e-6)
    assert scored.dispositions == ("train", "train", "incorrect", "truncated")
    assert scored.verdicts == ("correct", "correct", "incorrect", "correct")
    assert not scored.zero_advantage
    assert scored.group_id == "compression/1/q"


def test_exploration_is_relative_to_the_judged_responses_of_the_group():
    group = make_group([10, 10, 10])
    scored = score_group(Explore(), group, judge("correct", "incorrect", "timeout"))
    # Rewards 1.1 and 0.1: unbiased deviation sqrt(1/2), so the advantages are +-1/sqrt(2).
    np.testing.assert_allclose(scored.advantages, [0.5**0.5, -(0.5**0.5), 0], atol=1e-5)
    assert scored.dispositions == ("train", "train", "verifier_timeout")
    assert set(scored.components) == {"format", "answer", "length"}


def test_format_needs_the_judgement_and_the_end_token():
    group = make_group([10, 10, 10], finished=[True, True, False])
    judgements = (*judge("correct"), *judge("correct", well_formed=False), *judge("incorrect"))
    scored = score_group(Explore(), group, judgements)
    np.testing.assert_allclose(scored.components["format"], [0.1, 0, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("objective", "verdicts", "zero"),
    [
        (Compress(), ("incorrect", "incorrect"), True),
        (Compress(), ("correct", "incorrect"), False),
        (Explore(), ("correct", "correct"), True),
        (Explore(), ("incorrect", "incorrect"), True),
        (Explore(), ("correct", "timeout"), True),
        (Explore(), ("correct", "incorrect"), False),
    ],
)
def test_groups_without_any_advantage_are_flagged(objective, verdicts, zero):
    scored = score_group(objective, make_group([10, 10]), judge(*verdicts))
    assert scored.zero_advantage is zero
    assert bool(np.any(scored.advantages)) is not zero


def test_the_loss_settings_of_the_objective_ride_on_the_group():
    objective = Compress(
        normaliser="positives",
        aggregation="token-mean",
        loss=PolicyLoss(clip_low=0.1, clip_high=0.3),
    )
    scored = score_group(objective, make_group([10]), judge("correct"))
    assert (scored.normaliser, scored.aggregation) == ("positives", "token-mean")
    assert (scored.clip_low, scored.clip_high) == (0.1, 0.3)
    explored = score_group(Explore(), make_group([10, 10]), judge("correct", "incorrect"))
    assert (explored.normaliser, explored.aggregation) == ("all", "token-mean")
    assert (explored.clip_low, explored.clip_high) == (0.2, 0.28)


def test_columns_survive_the_round_trip_and_hold_no_class_of_ours():
    scored = score_group(Explore(), make_group([10, 20]), judge("correct", "incorrect"))
    columns = scored.columns()
    plain = (str, bool, float, int, tuple, dict, np.ndarray)
    assert all(type(value) in plain for value in columns.values())
    again = ScoredGroup.from_columns(columns)
    for name, value in scored.columns().items():
        np.testing.assert_equal(again.columns()[name], value)
    with pytest.raises(ValueError, match="schema 99"):
        ScoredGroup.from_columns({**columns, "schema": 99})


def test_a_missing_judgement_is_refused():
    with pytest.raises(ValueError, match="2 responses but 1 judgements"):
        score_group(Compress(), make_group([10, 10]), judge("correct"))
