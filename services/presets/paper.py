"""The paper's two runs (appendix A; docs/method.md)."""

from __future__ import annotations

from typing import Any

from services.presets.preset import Preset

LENGTH_CLIP = 4096
"""L, in response tokens."""


def _stages() -> list[dict[str, Any]]:
    common = {
        "steps": 400,
        "prompts_per_step": 64,
        "prompts_per_update": 16,
        "learning_rate": 1e-6,
    }
    return [
        {
            "name": "compression",
            "objective": {"type": "compress", "length_clip": LENGTH_CLIP, "r": 0.1, "beta": 1.0},
            "sampling": {"temperature": 0.6, "max_tokens": LENGTH_CLIP, "group_size": 8},
            **common,
        },
        {
            "name": "exploration",
            "objective": {
                "type": "explore",
                "length_threshold": LENGTH_CLIP,
                "length_penalty": 0.25,
                "length_unit": 1024,
            },
            "sampling": {"temperature": 1.0, "max_tokens": 2 * LENGTH_CLIP, "group_size": 8},
            **common,
        },
    ]


def _paper(name: str, model: str, *, generators: int, learners: int) -> Preset:
    return Preset(
        name=name,
        version=1,
        description=(
            f"The paper's run on {model} ({generators + learners} GPUs); put the model and the "
            "data at the paths named in the specification, or override model.path and data.path"
        ),
        spec={
            "name": name,
            "model": {"path": f"models/{model}"},
            "data": {"path": "data/train.jsonl"},
            "evaluation": {
                "path": "data/heldout.jsonl",
                "questions": 500,
                "samples": 4,
                "temperature": 0.6,
                "top_p": 0.95,
                "max_tokens": 32768,
            },
            "stages": _stages(),
            "generator": {
                "workers": generators,
                "cpus": 4,
                "gpus": 1,
                "dtype": "bfloat16",
                "timeout_seconds": 3600,
            },
            "learner": {
                "workers": learners,
                "cpus": 4,
                "gpus": 1,
                "zero_stage": 2 if learners > 1 else 0,
                "dtype": "bfloat16",
                "timeout_seconds": 3600,
            },
            "verifier": {"workers": 8},
            "replay": {"lease_seconds": 3600},
            "checkpoint": {"every_steps": 20},
        },
    )


PAPER_1_5B = _paper("paper-1.5b", "DeepSeek-R1-Distill-Qwen-1.5B", generators=4, learners=4)
PAPER_7B = _paper("paper-7b", "DeepSeek-R1-Distill-Qwen-7B", generators=4, learners=4)
