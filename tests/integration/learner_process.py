"""Ranks of a learner for the tests: ``python -m tests.integration.learner_process JSON``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from transformers import Qwen2ForCausalLM

from services.learning.policy_learner import PolicyLearner
from services.learning.samples import Update, build_update
from services.spec.job import LearnerSpec
from tests.integration.learner_reference import (
    LEARNING_RATE,
    TEMPERATURE,
    make_groups,
    write_weights,
)


def go_back(learner: PolicyLearner, updates: list[Update], folder: Path) -> dict[str, float]:
    """Save, take a step, load on the engine that has stepped, take the step again: as a resume and
    a rollback do. Return the largest differences of the weights loaded and of the repeated step."""

    def weights() -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in learner.named_weights()}

    def difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        return max((float((a[name] - b[name]).abs().max()) for name in a), default=0.0)

    learner.save(folder)
    saved = weights()
    learner.train_step(updates, temperature=TEMPERATURE, learning_rate=LEARNING_RATE)
    once = weights()
    learner.load(folder)
    loaded = weights()
    learner.train_step(updates, temperature=TEMPERATURE, learning_rate=LEARNING_RATE)
    return {
        "moved": difference(saved, once),
        "loaded": difference(saved, loaded),
        "repeated": difference(once, weights()),
    }


def rank_main(rank: int, config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(config["world"])}
    out = Path(config["out"])
    dist.init_process_group(
        "gloo",
        init_method=f"file://{out / 'rendezvous'}",
        rank=rank,
        world_size=config["world"],
    )
    for zero in config["stages"]:
        spec = LearnerSpec.model_validate({**config["spec"], "zero_stage": zero})
        learner = PolicyLearner(Path(config["model"]), spec)
        model = Qwen2ForCausalLM.from_pretrained(config["model"])
        groups = make_groups(model, config["objective"])
        updates = [build_update(groups[:2]), build_update(groups[2:])]
        result = learner.train_step(updates, temperature=TEMPERATURE, learning_rate=LEARNING_RATE)
        named = [(name, value.clone()) for name, value in learner.named_weights()]
        result |= go_back(learner, updates, out / f"state-{zero}")
        if rank == 0:
            write_weights(out / f"zero-{zero}.safetensors", named)
            (out / f"zero-{zero}.json").write_text(json.dumps(result))
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    mp.spawn(rank_main, args=(settings,), nprocs=settings["world"])
