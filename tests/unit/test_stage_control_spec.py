"""Stage control in a specification: what is refused, and where the objection points."""

from __future__ import annotations

from typing import Any

import pytest

from services.presets.registry import resolve
from services.spec.problems import SpecError, parse_spec

EVALUATION = {"path": "heldout.jsonl", "every_steps": 20}


def specification(stage: dict[str, Any], **fields: Any) -> dict[str, Any]:
    compression = {"name": "compression", "objective": {"type": "compress"}, "steps": 100}
    return {
        "model": {"path": "model"},
        "data": {"path": "train.jsonl"},
        "stages": [{**compression, **stage}],
        **fields,
    }


def until(**criterion: Any) -> dict[str, Any]:
    return {"until": [criterion]}


BAD = {
    "unknown criterion": (
        specification(until(type="entropy_platoe")),
        "/stages/0/until/0/type",
        "unknown type; choose one of 'entropy_plateau', 'length_target', 'clip_ratio'",
    ),
    "no type": (specification(until(window=9)), "/stages/0/until/0/type", "required"),
    "unknown field of a criterion": (
        specification(until(type="entropy_plateau", windw=9)),
        "/stages/0/until/0/windw",
        "did you mean 'window'?",
    ),
    "plateau window longer than the stage": (
        specification(until(type="entropy_plateau", window=93)),
        "/stages/0/until/0/window",
        "a stage of 100 steps: entropy_plateau can hold at step 101 at the earliest",
    ),
    "min_steps beyond the stage": (
        specification(until(type="clip_ratio", at_most=0.1, min_steps=101)),
        "/stages/0/until/0/min_steps",
        "too long for a stage of 100 steps",
    ),
    "target at the cap": (
        specification(until(type="length_target", tokens=4096)),
        "/stages/0/until/0/tokens",
        "below sampling.max_tokens (4096)",
    ),
    "ratio without a base": (
        specification(until(type="length_target", ratio=0.3)),
        "/stages/0/until/0/ratio",
        "add evaluation",
    ),
    "guard without an evaluation set": (
        specification({"guard": {}}),
        "/stages/0/guard",
        "add evaluation",
    ),
    "guard that never looks in time": (
        specification({"guard": {"action": "leave"}}, evaluation={"path": "heldout.jsonl"}),
        "/stages/0/guard/action",
        "evaluation.every_steps",
    ),
    "cycle ratio without a base": (
        specification({}, cycles={"length": {"ratio": 0.3}}),
        "/cycles/length/ratio",
        "add evaluation",
    ),
    "cycle window longer than the last stage": (
        specification({}, cycles={"length": {"tokens": 300, "window": 101}}),
        "/cycles/length/window",
        "too long for the 100 steps of the last stage, 'compression'",
    ),
    "no cycle": (specification({}, cycles={"max_cycles": 0}), "/cycles/max_cycles", "at most this"),
}


@pytest.mark.parametrize("name", BAD)
def test_stage_control_that_cannot_work_is_refused_at_its_field(name: str) -> None:
    data, pointer, remedy = BAD[name]
    with pytest.raises(SpecError) as refusal:
        parse_spec(data)
    (problem,) = refusal.value.problems
    assert problem.pointer == pointer
    assert remedy in problem.detail


def test_stage_control_that_can_work_is_taken_and_bounds_the_job() -> None:
    control = {
        "until": [
            {"type": "entropy_plateau", "window": 92},
            {"type": "length_target", "ratio": 0.3},
            {"type": "clip_ratio", "at_least": 0.5},
        ],
        "guard": {"action": "leave"},
    }
    cycles = {"max_cycles": 4, "length": {"ratio": 0.3}, "token_budget": 10**9}
    spec = parse_spec(specification(control, evaluation=EVALUATION, cycles=cycles))
    assert spec.total_steps == 400
    assert [o.label for o in spec.schedule][:2] == ["compression", "compression.2"]
    assert parse_spec(spec.model_dump(mode="json")) == spec


def test_the_presets_run_the_papers_fixed_steps() -> None:
    for preset in ("tiny-cpu", "paper-1.5b"):
        spec = resolve(preset)
        assert spec.cycles is None
        assert all(s.until == () and s.guard is None for s in spec.stages)


def test_criteria_can_be_laid_over_a_preset() -> None:
    control = {"until": [{"type": "clip_ratio", "at_most": 0.05}], "guard": {"max_drop": 0.1}}
    spec = resolve("tiny-cpu", {"stages": {"compression": control}})
    assert spec.stages[0].until[0].type == "clip_ratio"
    assert spec.stages[0].guard is not None
