"""The DeepSpeed learner against a plain PyTorch reference, for every ZeRO stage and world size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2ForCausalLM

from tests.integration.learner_reference import (
    IMPORTANCE_CAP,
    reference_weights,
    save_small_model,
)

ROOT = Path(__file__).parents[2]
CASES = [
    ("compress", 1, (0, 3)),
    ("compress", 2, (0, 1, 2, 3)),
    ("mixed", 2, (0, 3)),
    ("drifted", 1, (0,)),
]
"""Objective, world size and the ZeRO stages tried there."""


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_small_model(folder)
    return folder


@pytest.mark.parametrize(("objective", "world", "stages"), CASES)
def test_learner_makes_the_same_step_as_plain_pytorch(
    small_model: Path, tmp_path: Path, objective: str, world: int, stages: tuple[int, ...]
) -> None:
    spec: dict[str, object] = {"micro_batch_tokens": 64, "logprob_chunk": 16}
    if objective == "drifted":
        spec |= {"old_logprobs": "recomputed", "importance_cap": IMPORTANCE_CAP}
    config = {
        "model": str(small_model),
        "out": str(tmp_path),
        "world": world,
        "stages": stages,
        "objective": objective,
        "spec": spec,
    }
    subprocess.run(
        [sys.executable, "-m", "tests.integration.learner_process", json.dumps(config)],
        check=True,
        timeout=280,
        cwd=ROOT,
    )
    expected = reference_weights(small_model, 2, objective)
    start = dict(Qwen2ForCausalLM.from_pretrained(small_model).named_parameters())
    for zero in stages:
        result = json.loads((tmp_path / f"zero-{zero}.json").read_text())
        if objective == "drifted":
            assert result["mismatch_abs_mean"] > 0.2
        else:
            assert result["mismatch_abs_mean"] < 1e-5
        assert result["updates"] == 2
        assert result["moved"] > 1e-4
        assert result["loaded"] == 0
        assert result["repeated"] < 1e-7
        trained = load_file(tmp_path / f"zero-{zero}.safetensors")
        for name, value in expected.items():
            assert (value - start[name]).abs().max() > 1e-4
            torch.testing.assert_close(
                trained[name], value, atol=2e-6, rtol=2e-4, msg=f"ZeRO {zero}: {name}"
            )
