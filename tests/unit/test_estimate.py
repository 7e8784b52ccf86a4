"""Estimates: in proportion to what is asked, and right about the recorded tiny run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from services.builtin import resolve_path
from services.datasets import load_questions
from services.estimate.assumptions import DEFAULT
from services.estimate.estimate import estimate
from services.estimate.prompts import SAMPLE, mean_prompt_tokens
from services.model_folder import ModelFacts, inspect_model
from services.presets.registry import resolve

ROOT = Path(__file__).parents[2]
TINY = resolve("tiny-cpu")
FACTS = inspect_model(resolve_path(TINY.model.path))
LARGE = ModelFacts(context=131072, parameters=int(1.5e9), layers=28, hidden=1536, vocabulary=151936)


@pytest.fixture(scope="module")
def recorded():
    """Minutes, GiB and mean response length of the tiny run with the machine to itself."""
    text = (ROOT / "benchmarks/results/tiny_cpu.md").read_text()
    minutes, gib = re.search(r"lengths, ([\d.]+) minutes,\s+([\d.]+) GiB", text).groups()
    run = json.loads(next(ROOT.glob("docs/results/runs/ablate-separated-0-*.json")).read_text())
    tokens = sum(s["generated_tokens"] for s in run["steps"])
    return float(minutes), float(gib), tokens / (len(run["steps"]) * 256)


@pytest.fixture(scope="module")
def assumptions():
    prompts = mean_prompt_tokens(
        resolve_path(TINY.model.path),
        load_questions(TINY.data, SAMPLE),
        TINY.data.prompt_suffix,
    )
    return DEFAULT.model_copy(update={"prompt_tokens": round(prompts)})


def test_the_recorded_run_lies_in_the_range_and_near_where_its_length_is_known(
    recorded, assumptions
):
    minutes, gib, mean = recorded
    blind = estimate(TINY, FACTS, assumptions=assumptions)
    assert blind.seconds.low < 60 * minutes < blind.seconds.high
    known = estimate(TINY, FACTS, mean_response_tokens=mean, assumptions=assumptions)
    assert known.seconds.expected == pytest.approx(60 * minutes, rel=0.25)
    assert known.main_gib == pytest.approx(gib, rel=0.15)
    assert known.gpu_hours.high == 0


def test_tokens_by_hand():
    found = estimate(TINY, FACTS, mean_response_tokens=60.0)
    compression, exploration = found.stages
    assert compression.responses == 26 * 32 * 8
    assert exploration.response_tokens.expected == 12 * 32 * 8 * 60
    # The base model and both stages, 256 questions each.
    assert found.evaluation_tokens.expected == 3 * 256 * 60
    assert found.steps == 38
    blind = estimate(TINY, FACTS)
    assert blind.stages[0].response_tokens.high == 26 * 32 * 8 * 300
    assert blind.stages[0].response_tokens.expected == 26 * 32 * 8 * 75


def test_cycles_and_midway_evaluations_count():
    more = resolve("tiny-cpu", {"cycles": {"max_cycles": 2}, "evaluation": {"every_steps": 19}})
    found = estimate(more, FACTS, mean_response_tokens=60.0)
    assert found.steps == 2 * 38
    assert found.stages[0].responses == 2 * 26 * 32 * 8
    assert found.evaluation_tokens.expected == (1 + 4 + 76 // 19) * 256 * 60


def role(found, name):
    return next(r for r in found.memory if r.role == name)


@pytest.mark.parametrize(
    ("stage", "held"),
    [(0, 2 + 2 + 12), (1, 2 + 2 + 12 / 4), (2, 2 + 2 / 4 + 12 / 4), (3, 2 / 4 + 2 / 4 + 12 / 4)],
)
def test_what_each_zero_stage_leaves_on_a_rank(stage, held):
    spec = resolve(
        "paper-1.5b",
        {"learner": {"zero_stage": stage, "micro_batch_tokens": 1, "logprob_chunk": 1}},
    )
    found = role(estimate(spec, LARGE), "learner")
    assert found.gpu_gib == pytest.approx(held * 1.5e9 / 2**30, rel=0.01)


def test_time_falls_with_workers_and_grows_with_the_model():
    spec = resolve("paper-1.5b")
    base = estimate(spec, LARGE).seconds.expected
    double = resolve("paper-1.5b", {"generator": {"workers": 8}, "learner": {"workers": 8}})
    fixed = DEFAULT.start_seconds + spec.total_steps * DEFAULT.step_seconds
    assert estimate(double, LARGE).seconds.expected - fixed == pytest.approx((base - fixed) / 2)
    larger = ModelFacts(131072, int(7.5e9), 28, 3584, 152064)
    assert estimate(spec, larger).seconds.expected - fixed == pytest.approx((base - fixed) * 5)
    assert estimate(spec, LARGE).gpu_hours.expected == pytest.approx(base * 8 / 3600)
