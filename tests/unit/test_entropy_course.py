"""Entropy and gradient conflict over a run, from step records checked by hand."""

from __future__ import annotations

import json

import pytest

from services.analysis.entropy_course import conflict_course, entropy_course
from services.analysis.entropy_plots import conflict_figure, entropy_figure


def step(number: int, stage: str, tokens: int, entropy: float, answer: float | None) -> dict:
    profile = {"think": entropy, "answer": answer, "correct": 0.1, "incorrect": None}
    levels = {"p50": 0.0, "p80": 0.2, "p95": 0.5, "p99": 1.0}
    return {
        "step": number,
        "stage": stage,
        "generated_tokens": tokens,
        "entropy": entropy,
        "entropy_sampled": entropy + 0.01,
        "entropy_profile": {**profile, **levels},
    }


RECORDS = [
    step(1, "compression", 300, 0.4, 0.2),
    step(2, "compression", 100, 0.2, None),
    step(3, "exploration", 100, 0.6, 0.3),
]


def test_means_of_a_stage_weigh_every_token_the_same() -> None:
    course = entropy_course(RECORDS)
    assert course.by_stage["compression"]["entropy"] == pytest.approx((300 * 0.4 + 20) / 400)
    assert course.by_stage["compression"]["sampled"] == pytest.approx(0.36)
    assert course.by_stage["compression"]["answer"] == pytest.approx(0.2)
    assert course.by_stage["exploration"]["think"] == pytest.approx(0.6)
    assert course.by_stage["exploration"]["incorrect"] is None
    assert course.series["answer"] == [0.2, None, 0.3]
    json.dumps(course.as_json(), allow_nan=False)


def test_steps_without_a_profile_are_left_out() -> None:
    assert entropy_course([{"step": 1}]) is None
    assert entropy_course([{"step": 1}, RECORDS[1]]).steps == [2]


def test_the_figure_has_a_panel_for_each_view_and_marks_the_switch() -> None:
    panels = entropy_figure(entropy_course(RECORDS)).axes
    assert [a.get_title("left").split(" (")[0] for a in panels] == [
        "Every token",
        "By part",
        "By outcome",
        "Percentiles",
    ]
    for ax in panels:
        (switch,) = [line for line in ax.lines if list(line.get_xdata()) == [2.5, 2.5]]
        assert switch.get_linestyle() != "-"


def test_conflict_is_of_the_steps_that_compared_the_gradients() -> None:
    found = {"cosine": -0.3, "connector_share_compress": 0.4, "connector_share_accuracy": None}
    course = conflict_course([RECORDS[0], {**RECORDS[1], "gradient_conflict": found}])
    assert (course.steps, course.stages) == ([2], ["compression"])
    assert course.series["cosine"] == [-0.3]
    assert list(conflict_figure(course).axes[0].lines[0].get_ydata()) == [-0.3]
    assert conflict_course(RECORDS) is None
