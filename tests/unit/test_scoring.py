"""From a verified group to advantages and loss settings."""

from dataclasses import replace

import numpy as np
import pytest

from algorithms.objectives import Compress, Entangled, Explore, Repetition
from algorithms.policy_loss_settings import PpoLoss
from algorithms.scoring import ScoredGroup, score_groups
from tests.unit.trajectories import judge, make_group, score_group


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
    "objective",
    [
        Explore(repetition=Repetition(weight=1, n=2, threshold=0)),
        Entangled(explore=Explore(repetition=Repetition(weight=1, n=2, threshold=0))),
    ],
)
def test_repetition_is_measured_on_the_tokens_of_each_response(objective):
    tokens = np.array([1, 2, 3, 4, 5, 1, 2, 1, 2, 1], dtype=np.int32)
    group = replace(make_group([5, 5]), response_ids=tokens)
    scored = score_group(objective, group, judge("incorrect", "incorrect"))
    # Pairs of the second: 12 21 12 21, of which two are new.
    np.testing.assert_allclose(scored.components["repetition"], [0, -0.5], atol=1e-6)


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


def test_a_group_without_advantage_is_left_out_where_the_filter_is_on():
    objective = Explore(zero_advantage="drop")
    silent = score_group(objective, make_group([10] * 3), judge("correct", "correct", "timeout"))
    assert silent.dispositions == ("zero_advantage", "zero_advantage", "verifier_timeout")
    telling = score_group(objective, make_group([10, 10]), judge("correct", "incorrect"))
    assert telling.dispositions == ("train", "train")
    kept = score_group(Explore(), make_group([10, 10]), judge("correct", "correct"))
    assert kept.dispositions == ("train", "train")


def test_the_loss_settings_of_the_objective_ride_on_the_group():
    objective = Compress(
        normaliser="positives",
        aggregation="token-mean",
        loss=PpoLoss(clip_low=0.1, clip_high=0.3),
    )
    scored = score_group(objective, make_group([10]), judge("correct"))
    assert (scored.normaliser, scored.aggregation) == ("positives", "token-mean")
    assert (scored.loss["clip_low"], scored.loss["clip_high"]) == (0.1, 0.3)
    assert scored.loss["type"] == "ppo"
    explored = score_group(Explore(), make_group([10, 10]), judge("correct", "incorrect"))
    assert (explored.normaliser, explored.aggregation) == ("all", "token-mean")
    assert (explored.loss["clip_low"], explored.loss["clip_high"]) == (0.2, 0.28)


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


@pytest.mark.parametrize(
    ("verdicts", "finished", "goes_to"),
    [
        (("correct", "correct", "incorrect", "incorrect"), (True,) * 4, "compress"),  # exactly half
        (("correct", "incorrect", "incorrect", "unparsable"), (True,) * 4, "accuracy"),
        (("correct", "incorrect", "timeout", "error"), (True,) * 4, "compress"),  # of those judged
        (("correct", "correct", "incorrect", "incorrect"), (False, True, True, True), "accuracy"),
        (("timeout", "error", "error", "error"), (True,) * 4, "accuracy"),
    ],
)
def test_an_entangled_group_goes_where_its_accuracy_sends_it(verdicts, finished, goes_to):
    scored = score_group(Entangled(), make_group([10] * 4, finished), judge(*verdicts))
    assert scored.route == goes_to
    assert scored.aggregation == ("seq-mean-token-mean" if goes_to == "compress" else "token-mean")


def test_a_correct_answer_beyond_the_clip_routes_to_compression_and_earns_nothing():
    objective = Entangled(compress=Compress(length_clip=50))
    scored = score_group(objective, make_group([60, 40]), judge("correct", "incorrect"))
    assert scored.route == "compress"
    assert scored.dispositions == ("truncated", "incorrect")
    assert not scored.rewards.any()


def test_an_entangled_batch_keeps_each_half_under_its_own_rules():
    groups = [make_group([10, 20]), make_group([10, 20])]
    judged = [judge("correct", "correct"), judge("incorrect", "incorrect", well_formed=True)]
    first, second = score_groups(Entangled(), groups, judged)
    assert (first.advantages > 0).all()
    assert (second.advantages == 0).all()  # no answer is better than another (E8)
    assert second.dispositions == ("train", "train")


def test_batch_normalisation_sees_every_group():
    groups = [make_group([10, 10]), make_group([10, 10])]
    judged = [judge("correct", "correct"), judge("incorrect", "incorrect")]
    by_group = score_groups(Explore(), groups, judged)
    by_batch = score_groups(Explore(normalisation="batch"), groups, judged)
    assert not np.any([s.advantages for s in by_group])
    # Rewards 1.1, 1.1, 0.1, 0.1: mean 0.6, unbiased deviation sqrt(1/3).
    np.testing.assert_allclose(by_batch[0].advantages, [0.5 * 3**0.5] * 2, rtol=1e-5)
    np.testing.assert_allclose(by_batch[1].advantages, [-0.5 * 3**0.5] * 2, rtol=1e-5)


@pytest.mark.parametrize(("term", "pulls"), [({}, False), ({"kl_coefficient": 0.1}, True)])
def test_a_term_of_its_own_pulls_where_the_advantage_is_zero(term, pulls):
    objective = Explore(loss=PpoLoss(**term))
    scored = score_group(objective, make_group([10, 10]), judge("correct", "correct"))
    assert scored.has_gradient.tolist() == [pulls, pulls]


def test_a_selection_keeps_what_belongs_to_its_responses():
    group, judged = (
        make_group([10, 20, 30], think=[5, 15, 25]),
        judge("correct", "incorrect", "error"),
    )
    scored = score_group(Explore(), group, judged)
    part, responses = scored.select([2, 0]), group.select([2, 0])
    assert part.verdicts == ("error", "correct")
    assert part.dispositions == ("verifier_error", "train")
    np.testing.assert_array_equal(part.advantages, scored.advantages[[2, 0]])
    assert responses.lengths.tolist() == [30, 10]
    assert responses.think_lengths.tolist() == [25, 5]
    assert len(responses.response_ids) == 40
