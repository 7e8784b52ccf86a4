"""avg@k, pass@k, the bootstrap over questions and the repetition rate against closed forms."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.bootstrap import cluster_interval, paired_bootstrap
from algorithms.metrics import wilson_interval
from algorithms.pass_at_k import avg_at_k, pass_at_k
from algorithms.repetition import repetition_rate


def test_pass_at_k_is_the_mean_over_every_subset_of_k() -> None:
    for n, c, k in [(5, 2, 3), (6, 1, 2), (4, 4, 1), (7, 0, 7), (3, 2, 2)]:
        outcomes = [i < c for i in range(n)]
        subsets = list(itertools.combinations(outcomes, k))
        exact = Fraction(sum(any(s) for s in subsets), len(subsets))
        assert pass_at_k(c, n, k) == pytest.approx(float(exact), abs=1e-12)


def test_pass_at_one_is_the_share() -> None:
    assert pass_at_k(3, 16, 1) == pytest.approx(3 / 16)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_k_grows_with_k(pair: tuple[int, int]) -> None:
    n, c = pair
    values = [pass_at_k(c, n, k) for k in range(1, n + 1)]
    assert values == sorted(values)
    assert values[-1] == (1.0 if c else 0.0)


@pytest.mark.parametrize(("c", "n", "k"), [(5, 4, 1), (-1, 4, 1), (1, 4, 5), (1, 4, 0)])
def test_impossible_counts_are_refused(c: int, n: int, k: int) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        pass_at_k(c, n, k)


def test_each_question_weighs_the_same_whatever_could_be_judged() -> None:
    # Pooled it would be 5 of 9.
    assert avg_at_k([4, 1, 0], [4, 1, 4]) == pytest.approx(2 / 3)
    assert avg_at_k([1, 0], [2, 0]) == 0.5
    assert avg_at_k([0], [0]) is None


def test_the_interval_of_many_questions_is_the_normal_one() -> None:
    values = [float(v) for v in np.random.Generator(np.random.PCG64(3)).normal(5, 2, 900)]
    low, high = cluster_interval(values, seed=1)
    mean, error = np.mean(values), np.std(values) / math.sqrt(len(values))
    assert low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """200 evaluations of 60 questions whose difficulty differs, 8 responses each: the interval over
    questions holds the true accuracy 95 times in 100, the one over responses does not."""
    draw = random.Random(7)
    covered, naive = 0, 0
    for trial in range(200):
        chances = [draw.betavariate(0.5, 0.5) for _ in range(60)]
        counts = [sum(draw.random() < p for _ in range(8)) for p in chances]
        low, high = cluster_interval([c / 8 for c in counts], seed=trial, resamples=1000)
        covered += low <= 0.5 <= high
        low, high = wilson_interval(sum(counts), 480)
        naive += low <= 0.5 <= high
    assert 178 <= covered <= 199
    assert naive < 140


def test_intervals_are_fixed_by_their_seed() -> None:
    values = [math.sqrt(i) for i in range(20)]
    assert cluster_interval(values, seed=4) == cluster_interval(values, seed=4)
    assert cluster_interval(values, seed=4) != cluster_interval(values, seed=5)
    assert cluster_interval([1.0, 1.0], seed=0) == (1.0, 1.0)


def test_paired_questions_show_what_unpaired_intervals_hide() -> None:
    draw = random.Random(2)
    before = [draw.uniform(100, 10_000) for _ in range(100)]
    after = [v - 50 + draw.gauss(0, 20) for v in before]
    found = paired_bootstrap(before, after, seed=0)
    assert found.questions == 100
    assert found.mean == pytest.approx(np.mean(after) - np.mean(before))
    assert -60 < found.low < found.mean < found.high < -40
    assert found.p == pytest.approx(2 / 10_001)
    mine, theirs = cluster_interval(before, seed=0), cluster_interval(after, seed=0)
    assert mine[0] < theirs[1]  # side by side they overlap


def test_models_that_do_not_differ_have_no_small_p() -> None:
    same = [0.0, 1.0, 1.0, 0.5]
    assert paired_bootstrap(same, same, seed=0).p == 1.0
    draw = random.Random(5)
    small = 0
    for trial in range(100):
        pairs = [(draw.random(), draw.random()) for _ in range(80)]
        found = paired_bootstrap(*zip(*pairs, strict=True), seed=trial, resamples=1000)
        small += found.p < 0.05
    assert small <= 12


def test_the_sign_of_a_difference_is_after_minus_before() -> None:
    assert paired_bootstrap([1.0], [3.0], seed=0).mean == 2.0
    with pytest.raises(ValueError, match="must match"):
        paired_bootstrap([1.0], [3.0, 4.0], seed=0)
    with pytest.raises(ValueError, match="at least one question"):
        cluster_interval([], seed=0)


def test_repetition_of_a_loop_and_of_new_text() -> None:
    assert repetition_rate(list(range(100)), n=4) == 0.0
    # 10 tokens looped 10 times: 100 - 3 runs of 4, of which 10 are distinct.
    assert repetition_rate(list(range(10)) * 10, n=4) == pytest.approx(1 - 10 / 97)
    assert repetition_rate(["to", "be", "or", "not", "to", "be"], n=2) == pytest.approx(1 / 5)
    assert repetition_rate([1, 2, 3], n=4) == 0.0
    with pytest.raises(ValueError, match="at least 1"):
        repetition_rate([1], n=0)
