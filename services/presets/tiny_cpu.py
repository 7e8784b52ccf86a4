"""The newcomer's preset: both stages of the paper on a laptop, in minutes."""

from __future__ import annotations

from services.presets.preset import Preset

TINY_CPU = Preset(
    name="tiny-cpu",
    version=1,
    description="Both stages on the 1 M-parameter tiny reasoner, on two CPU cores, in minutes",
    spec={
        "name": "tiny-cpu",
        "model": {"path": "builtin:tiny-reasoner"},
        "data": {"path": "builtin:tiny-train"},
        "evaluation": {
            "path": "builtin:tiny-heldout",
            "questions": 256,
            "samples": 1,
            "temperature": 0.6,
            "top_p": 0.95,
            "max_tokens": 500,
        },
        "stages": [
            {
                "name": "compression",
                "objective": {"type": "compress", "length_clip": 300, "r": 0.1},
                "sampling": {"temperature": 0.6, "max_tokens": 300, "group_size": 8},
                "steps": 26,
                "prompts_per_step": 32,
                "prompts_per_update": 8,
                "learning_rate": 3e-5,
            },
            {
                "name": "exploration",
                "objective": {
                    "type": "explore",
                    "length_threshold": 300,
                    "length_penalty": 0.25,
                    "length_unit": 75,
                },
                "sampling": {"temperature": 1.0, "max_tokens": 400, "group_size": 8},
                "steps": 12,
                "prompts_per_step": 32,
                "prompts_per_update": 8,
                "learning_rate": 2e-5,
            },
        ],
        "generator": {"workers": 1, "cpus": 1, "max_model_len": 640, "kv_cache_gib": 0.5},
        # Small micro-batches stay in the processor's cache: half again the throughput of 16,384.
        "learner": {"workers": 1, "cpus": 1, "micro_batch_tokens": 3072},
        "verifier": {"workers": 1},
        "analysis": {"every_steps": 5, "conflict": True},
        "checkpoint": {"every_steps": 10},
    },
)
