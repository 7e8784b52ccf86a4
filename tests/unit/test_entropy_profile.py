"""Token entropy by part and by outcome."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.learning.entropy_profile import EntropyProfile
from services.learning.samples import ScoredResponse
from tests.unit.trajectories import scored_response


def response(length: int, think: int, correct: int) -> ScoredResponse:
    return scored_response([0] * length, think_length=think, correct=correct)


def test_means_are_over_the_tokens_of_each_part_and_outcome() -> None:
    profile = EntropyProfile()
    profile.add([response(3, 2, 1), response(2, 1, 0)], torch.tensor([1.0, 2.0, 6.0, 3.0, 8.0]))
    profile.add([response(1, 1, -1)], torch.tensor([100.0]))
    found = profile.figures()
    assert found["think"] == pytest.approx((1 + 2 + 3 + 100) / 4)
    assert found["answer"] == pytest.approx((6 + 8) / 2)
    assert found["correct"] == pytest.approx((1 + 2 + 6) / 3)
    assert found["incorrect"] == pytest.approx((3 + 8) / 2)
    assert found["p50"] == pytest.approx(np.median([1, 2, 6, 3, 8, 100]))
    assert found["p99"] == pytest.approx(np.percentile([1, 2, 6, 3, 8, 100], 99), rel=1e-5)


def test_the_sampled_estimate_is_of_the_drawn_tokens_alone() -> None:
    profile = EntropyProfile()
    logprobs = np.array([-0.5, -1.5, -4.0], np.float32)
    drawn = scored_response([0] * 3, think_length=2, behaviour_logprobs=logprobs)
    profile.add([drawn], torch.tensor([9.0, 9.0, 9.0]))
    sampled = profile.figures()["sampled"]
    assert sampled["mean"] == pytest.approx(2.0)
    assert (sampled["think"], sampled["answer"]) == (pytest.approx(1.0), pytest.approx(4.0))
    assert sampled["p50"] == pytest.approx(1.5)
    assert (sampled["correct"], sampled["incorrect"]) == (pytest.approx(2.0), None)


def test_what_no_token_belongs_to_has_no_figure() -> None:
    nothing = EntropyProfile().figures()
    assert set(nothing.pop("sampled").values()) == set(nothing.values()) == {None}
    profile = EntropyProfile()
    profile.add([response(2, 2, 1)], torch.tensor([1.0, 3.0]))
    found = profile.figures()
    assert (found["think"], found["answer"], found["incorrect"]) == (2.0, None, None)
