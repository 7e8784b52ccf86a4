"""Loss weights, mini-batches and micro-batches."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.batching import micro_batches, split_updates, token_weights
from algorithms.objectives import Compress, Explore
from tests.unit.trajectories import judge, make_group, score_group

VERDICTS = ("correct", "incorrect", "unparsable", "timeout", "error")
mini_batches = st.lists(
    st.lists(st.tuples(st.sampled_from(VERDICTS), st.integers(1, 50)), min_size=2, max_size=5),
    min_size=1,
    max_size=4,
)


def score(objective, rows, group_id="g"):
    """A scored group from (verdict, length) rows."""
    verdicts, lengths = zip(*rows, strict=True)
    return score_group(objective, make_group(lengths, group_id=group_id), judge(*verdicts))


def lengths_of(batch):
    return np.array([length for rows in batch for _, length in rows])


def reference_loss(batch, objective, losses):
    """The definition, sequence by sequence: mean over judged (or trained) sequences or tokens."""
    judged, trained = [], []
    for rows, group_losses in zip(batch, losses, strict=True):
        for (verdict, _), sequence in zip(rows, group_losses, strict=True):
            if verdict in {"timeout", "error"}:
                continue
            judged.append(sequence)
            if verdict == "correct" or isinstance(objective, Explore):
                trained.append(sequence)
    everyone = isinstance(objective, Explore) or objective.normaliser == "all"
    population = judged if everyone else trained
    if not trained:
        return 0.0
    if objective.aggregation == "seq-mean-token-mean":
        return sum(s.mean() for s in trained) / len(population)
    return sum(s.sum() for s in trained) / sum(len(s) for s in population)


@pytest.mark.parametrize(
    "objective",
    [
        Compress(),
        Compress(normaliser="positives"),
        Compress(aggregation="token-mean"),
        Compress(aggregation="token-mean", normaliser="positives"),
        Explore(),
        Explore(aggregation="seq-mean-token-mean"),
    ],
)
@given(batch=mini_batches, seed=st.integers(0, 2**16))
def test_weighted_sum_is_the_mean_by_its_definition(objective, batch, seed):
    rng = np.random.default_rng(seed)
    losses = [[rng.normal(size=length) for _, length in rows] for rows in batch]
    weights = token_weights([score(objective, rows) for rows in batch], lengths_of(batch))
    flat = [sequence for group in losses for sequence in group]
    got = sum(w * s.sum() for w, s in zip(weights.weight, flat, strict=True))
    assert got == pytest.approx(reference_loss(batch, objective, losses), rel=1e-9, abs=1e-12)


def test_compression_keeps_zeros_but_not_unjudged_sequences_in_the_denominator():
    rows = [("correct", 10), ("incorrect", 20), ("unparsable", 30), ("timeout", 40), ("error", 50)]
    weights = token_weights([score(Compress(), rows)], lengths_of([rows]))
    np.testing.assert_allclose(weights.weight, [1 / (3 * 10), 0, 0, 0, 0])
    assert (weights.sequences, weights.trained, weights.empty) == (3, 1, False)


def test_positives_normaliser_counts_the_trained_sequences():
    rows = [("correct", 10), ("correct", 20), ("incorrect", 20), ("timeout", 40)]
    weights = token_weights([score(Compress(normaliser="positives"), rows)], lengths_of([rows]))
    np.testing.assert_allclose(weights.weight, [1 / 20, 1 / 40, 0, 0])


def test_token_mean_of_exploration_counts_every_judged_token():
    rows = [("correct", 10), ("incorrect", 20), ("timeout", 70)]
    weights = token_weights([score(Explore(), rows)], lengths_of([rows]))
    np.testing.assert_allclose(weights.weight, [1 / 30, 1 / 30, 0])


def test_filtered_groups_leave_the_denominator():
    objective = Explore(zero_advantage="drop")
    silent, telling = [("correct", 50), ("correct", 60)], [("correct", 10), ("incorrect", 30)]
    groups = [score(objective, silent), score(objective, telling)]
    weights = token_weights(groups, lengths_of([silent, telling]))
    np.testing.assert_allclose(weights.weight, [0, 0, 1 / 40, 1 / 40])
    assert (weights.sequences, weights.trained) == (2, 2)


def test_groups_of_both_stages_are_normalised_by_the_full_mini_batch():
    compress, explore = [("correct", 10), ("incorrect", 20)], [("correct", 30), ("incorrect", 40)]
    groups = [score(Compress(), compress), score(Explore(), explore)]
    weights = token_weights(groups, lengths_of([compress, explore]))
    np.testing.assert_allclose(weights.weight, [1 / (4 * 10), 0, 1 / 100, 1 / 100])


@pytest.mark.parametrize(
    ("objective", "verdicts", "empty"),
    [
        (Compress(), ("incorrect", "unparsable"), True),
        (Compress(normaliser="positives"), ("incorrect", "incorrect"), True),
        (Compress(), ("timeout", "error"), True),
        (Compress(), ("incorrect", "correct"), False),
        (Explore(), ("correct", "correct"), True),
        (Explore(), ("timeout", "error"), True),
        (Explore(), ("correct", "incorrect"), False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_mini_batches_without_gradient_are_flagged_and_divide_by_nothing(
    objective, verdicts, empty
):
    rows = [(verdict, 10) for verdict in verdicts]
    weights = token_weights([score(objective, rows)], lengths_of([rows]))
    assert weights.empty is empty
    assert np.isfinite(weights.weight).all()


def test_sizes_that_differ_and_empty_sequences_are_refused():
    group = score(Compress(), [("correct", 10), ("incorrect", 10)])
    with pytest.raises(ValueError, match="2 sequences but 1 lengths"):
        token_weights([group], np.array([10]))
    with pytest.raises(ValueError, match="no token"):
        token_weights([group], np.array([0, 10]))


def test_an_excluded_sequence_has_weight_zero_even_with_an_advantage():
    group = score(Compress(), [("correct", 10), ("incorrect", 10)])
    planted = replace(group, advantages=np.array([1.0, 1.0], dtype=np.float32))
    np.testing.assert_allclose(token_weights([planted], np.array([10, 10])).weight, [1 / 20, 0])


@given(st.integers(0, 70), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_split_is_a_partition_into_full_mini_batches(count, size, seed):
    updates = split_updates(range(count), size, seed)
    assert sorted(i for update in updates for i in update) == list(range(count))
    assert all(len(update) == size for update in updates[:-1])
    assert updates == split_updates(range(count), size, seed)


def test_split_shuffles_by_seed():
    groups = list(range(64))
    first = split_updates(groups, 16, (7, 1))
    assert [len(u) for u in first] == [16] * 4
    assert first != split_updates(groups, 16, (7, 2))
    assert first[0] != tuple(range(16))
    with pytest.raises(ValueError, match="per_update is 0"):
        split_updates(groups, 0, 0)


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 1000))
def test_micro_batches_hold_every_sequence_once_within_the_budget(lengths, budget):
    batches = micro_batches(np.array(lengths, dtype=np.int64), budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= budget or len(batch) == 1
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat, reverse=True)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 1000))
def test_micro_batches_are_closed_only_when_full(lengths, budget):
    batches = micro_batches(np.array(lengths, dtype=np.int64), budget)
    for batch in batches[:-1]:
        assert (len(batch) + 1) * max(lengths[i] for i in batch) > budget


def test_micro_batches_by_example():
    assert micro_batches(np.array([10, 50, 20, 20, 120]), 60) == ((4,), (1,), (2, 3, 0))
    with pytest.raises(ValueError, match="max_padded_tokens is 0"):
        micro_batches(np.array([1]), 0)
