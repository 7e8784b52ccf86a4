"""Every value of a preset says where it comes from."""

from __future__ import annotations

import pytest

from services.presets.marks import resolved_values
from services.presets.registry import resolve

PAPER = resolve("paper-1.5b")


def marks(preset: str) -> dict[str, tuple[object, str]]:
    return {r.path: (r.value, r.mark) for r in resolved_values(resolve(preset), PAPER)}


@pytest.mark.parametrize("preset", ["paper-1.5b", "paper-7b"])
def test_the_papers_values_and_the_gaps_are_told_apart(preset: str) -> None:
    found = marks(preset)
    assert found["stages.compression.steps"] == (400, "paper")
    assert found["stages.compression.objective.length_clip"] == (4096, "paper")
    assert found["stages.exploration.objective.length_penalty"] == (0.25, "paper")
    assert found["stages.compression.objective.r"] == (0.1, "gap")
    assert found["stages.exploration.sampling.temperature"] == (1.0, "gap")
    assert found["stages.exploration.sampling.max_tokens"] == (8192, "gap")
    assert found["learner.weight_decay"] == (0.01, "gap")
    assert found["generator.workers"][1] == "system"
    assert "changed" not in {mark for _, mark in found.values()}


def test_what_a_preset_scales_down_is_marked() -> None:
    found = marks("tiny-cpu")
    assert found["stages.compression.steps"] == (26, "changed")
    assert found["stages.compression.objective.length_clip"] == (300, "changed")
    assert found["stages.compression.objective.shaping"] == ("exponential", "paper")
    assert found["stages.compression.objective.r"] == (0.1, "gap")


def test_every_leaf_is_there() -> None:
    found = marks("paper-1.5b")
    assert found["stages.exploration.objective.loss.clip_high"] == (0.28, "gap")
    assert found["seed"] == (0, "system")
    assert found["replay.max_staleness"] == (0, "system")
