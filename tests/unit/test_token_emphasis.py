"""Loss weights by entropy."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from algorithms.token_emphasis import emphasis, entropy_threshold


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60, unique=True), st.floats(0.01, 0.99))
def test_the_share_named_lies_above_the_threshold(values, share):
    entropy = torch.tensor(values, dtype=torch.float64)
    above = int((entropy >= entropy_threshold(entropy, share)).sum())
    assert above == int(share * len(values))


def test_a_share_of_less_than_a_token_is_no_token():
    assert entropy_threshold(torch.tensor([1.0, 2.0]), 0.2) == math.inf
    assert entropy_threshold(torch.zeros(0), 0.2) == math.inf


def test_emphasis_falls_on_the_threshold_and_above():
    entropy = torch.tensor([0.1, 0.5, 0.9])
    assert emphasis(entropy, 0.5, 0.25).tolist() == [1.0, 0.25, 0.25]
    assert emphasis(entropy, None, 0.25).tolist() == [1.0, 1.0, 1.0]
