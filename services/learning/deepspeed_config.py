"""The DeepSpeed configuration that a learner specification stands for."""

from __future__ import annotations

from typing import Any

from services.spec.job import LearnerSpec


def deepspeed_config(spec: LearnerSpec, world: int) -> dict[str, Any]:
    """Return the configuration dictionary for ``deepspeed.initialize``.

    The batch sizes are placeholders: micro-batches vary in size, the learner marks the boundary
    of each update itself, and the loss arrives already normalised.
    """
    return {
        "train_batch_size": world,
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": spec.grad_clip,
        "zero_optimization": {"stage": spec.zero_stage},
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": spec.dtype == "bfloat16"},
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": 0.0,
                "betas": list(spec.betas),
                "eps": spec.eps,
                "weight_decay": spec.weight_decay,
                "torch_adam": True,
            },
        },
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
