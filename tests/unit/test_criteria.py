"""Criteria against closed forms: what they read, when they hold, and what is no evidence."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from algorithms.criteria import ClipRatio, Criterion, EntropyPlateau, LengthTarget
from algorithms.criterion_watch import CriterionWatch
from algorithms.plateau import smoothed_slope

PLATEAU = EntropyPlateau(slope=1e-3, window=4, smoothing=3, patience=2)
GAPS = st.lists(st.integers(1, 4), min_size=6, max_size=30)


def first_hold(criterion, values, metric=None, base_length=None):
    """Return the step at which the criterion first holds, None if it never does."""
    watch = CriterionWatch(criterion)
    for step, value in enumerate(values, start=1):
        watch.observe(step, {metric or criterion.metric: value}, base_length)
        if watch.holds:
            return step
    return None


# -- the slope ------------------------------------------------------------------------------------


@given(GAPS, st.floats(-1, 1), st.floats(-10, 10))
def test_the_slope_of_a_line_is_its_own_even_with_steps_missing(gaps, slope, start):
    steps = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    points = [(step, start + slope * step) for step in steps]
    assert smoothed_slope(points, smoothing=3, window=4) == pytest.approx(slope, abs=1e-9)


def test_the_slope_by_hand():
    """Least squares through (0, 1), (1, 1), (2, 4): slope 1.5."""
    assert smoothed_slope([(0, 1.0), (1, 1.0), (2, 4.0)], 1, 3) == pytest.approx(1.5)


def test_smoothing_takes_an_outlier_away():
    points = [(step, 9.0 if step == 5 else 0.1 * step) for step in range(1, 11)]
    assert smoothed_slope(points, smoothing=3, window=8) == pytest.approx(0.1, abs=0.01)
    assert abs(smoothed_slope(points, smoothing=1, window=10) - 0.1) > 0.05


def test_too_few_points_have_no_slope():
    points = [(step, 1.0) for step in range(1, 6)]
    assert smoothed_slope(points, smoothing=3, window=4) is None
    assert smoothed_slope([*points, (6, 1.0)], smoothing=3, window=4) == 0


# -- entropy plateau ------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_a_slope_just_below_the_threshold_is_flat_and_one_just_above_is_not(sign):
    flat = [5 + sign * 0.999e-3 * step for step in range(40)]
    steep = [5 + sign * 1.001e-3 * step for step in range(40)]
    assert first_hold(PLATEAU, flat) == PLATEAU.earliest == 7
    assert first_hold(PLATEAU, steep) is None


def test_a_turning_point_is_no_plateau():
    """The slope passes through zero at the turn, but for one step only."""
    values = [abs(step - 20) * 0.01 for step in range(40)]
    hasty = EntropyPlateau(slope=1e-3, window=5, smoothing=3, patience=1)
    assert first_hold(hasty, values) == 24
    assert first_hold(hasty.model_copy(update={"patience": 2}), values) is None


def test_a_plateau_waits_for_min_steps():
    patient = PLATEAU.model_copy(update={"min_steps": 12})
    assert patient.earliest == first_hold(patient, [1.0] * 20) == 12


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_a_step_without_a_figure_is_no_evidence(nothing):
    assert first_hold(PLATEAU, [1.0] * 6 + [nothing] * 9) is None
    assert first_hold(PLATEAU, [1.0] * 6 + [nothing] * 9 + [1.0]) == 16
    assert first_hold(PLATEAU, [1.0] * 20, metric="something_else") is None


# -- means over a window --------------------------------------------------------------------------


def test_a_length_target_is_reached_by_the_mean_of_the_window():
    target = LengthTarget(tokens=100, window=2)
    assert first_hold(target, [130, 92, 109, 91, 50]) == 4  # means 111, 100.5, 100
    assert first_hold(target, [130, 92, None, 109, 91]) == 5
    assert first_hold(target, [101] * 9) is None


def test_a_ratio_needs_the_base_length():
    target = LengthTarget(ratio=0.25, window=1)
    assert first_hold(target, [60, 50], base_length=200.0) == 2
    assert first_hold(target, [60, 1]) is None


def test_the_clip_ratio_falls_or_rises_to_its_threshold():
    falling, rising = [0.5, 0.25, 0.125, 0.0], [0.0, 0.125, 0.25, 0.5]
    assert first_hold(ClipRatio(at_most=0.125, window=1), falling) == 3
    assert first_hold(ClipRatio(at_most=0.0, window=1), falling) == 4
    assert first_hold(ClipRatio(at_least=0.25, window=1), rising) == 3
    assert first_hold(ClipRatio(at_least=0.75, window=1), rising) is None


def test_the_evidence_names_reading_and_limit():
    watch = CriterionWatch(LengthTarget(ratio=0.5, window=2))
    assert watch.gauges() == {"streak": 0.0}
    for step in (1, 2):
        watch.observe(step, {"response_length_mean": 40.0 + step}, 100.0)
    assert watch.evidence == {
        "criterion": "length_target",
        "metric": "response_length_mean",
        "reading": 41.5,
        "limit": 50.0,
        "window": 2,
    }
    assert watch.gauges() == {"reading": 41.5, "limit": 50.0, "streak": 1.0}


values = st.one_of(st.none(), st.floats(0, 2))


@given(
    st.sampled_from([PLATEAU, LengthTarget(tokens=1, window=3), ClipRatio(at_most=0.5, window=2)]),
    st.lists(values, max_size=25),
    st.integers(0, 25),
)
def test_a_watch_restored_at_any_point_goes_on_alike(criterion, readings, cut):
    straight, restored = CriterionWatch(criterion), CriterionWatch(criterion)
    for step, value in enumerate(readings, start=1):
        if step == cut:
            state = json.loads(json.dumps(restored.state_dict()))
            restored = CriterionWatch(criterion)
            restored.load_state_dict(state)
        for watch in (straight, restored):
            watch.observe(step, {criterion.metric: value}, None)
        assert restored.holds == straight.holds
        assert restored.evidence == straight.evidence


# -- configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "entropy_plateau", "smoothing": 4}, "must be odd.*take 5"),
        ({"type": "length_target"}, "exactly one"),
        ({"type": "length_target", "tokens": 9, "ratio": 0.5}, "exactly one"),
        ({"type": "clip_ratio"}, "exactly one"),
        ({"type": "clip_ratio", "at_most": 0.1, "at_least": 0.2}, "exactly one"),
        ({"type": "entropy"}, "entropy_plateau"),
    ],
)
def test_a_criterion_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Criterion).validate_python(fields)
