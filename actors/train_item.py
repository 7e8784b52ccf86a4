"""The work item of a training step: everything the learners need to know, and no objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from algorithms.schedule import Occurrence
from services.home import JobFolder
from services.prompt_stream import derive_seed
from services.spec.job import JobSpec


def train_item(
    spec: JobSpec, paths: JobFolder, current: Occurrence, step: int, groups: Sequence[str]
) -> dict[str, Any]:
    """Return the item for one rollout batch; version and optimiser reset are the run's to add.

    Args:
        spec: of the job.
        paths: where sampled tokens are kept.
        current: the stage that drew the groups.
        step: global, from 1.
        groups: ids in the replay queue.
    """
    stage = current.stage
    return {
        "kind": "train",
        "groups": list(groups),
        "update_unit": stage.update_unit,
        "per_update": stage.items_per_update,
        "seed": derive_seed(spec.seed, "updates", step),
        "temperature": stage.sampling.temperature,
        "learning_rate": stage.learning_rate,
        "probe": _probe(spec, paths, current.label, step),
    }


def _probe(spec: JobSpec, paths: JobFolder, label: str, step: int) -> dict[str, Any] | None:
    """What the learners keep for the token analysis; None between sampled steps."""
    analysis = spec.analysis
    if analysis is None or step % analysis.every_steps:
        return None
    return {
        "job_folder": paths.root,
        "step": step,
        "stage": label,
        "max_tokens": analysis.max_tokens,
        "seed": spec.seed,
    }
