"""The work item of a training step: everything the learners need to know, and no objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from algorithms.conflict import contrast
from algorithms.schedule import Occurrence
from services.home import JobFolder
from services.prompt_stream import derive_seed
from services.spec.job import JobSpec


def train_item(
    spec: JobSpec,
    paths: JobFolder,
    current: Occurrence,
    step: int,
    summaries: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the item for one rollout batch; version and optimiser reset are the run's to add.

    Args:
        spec: of the job.
        paths: where sampled tokens are kept.
        current: the stage that drew the groups.
        step: global, from 1.
        summaries: the verifier's record of each group.
    """
    stage = current.stage
    return {
        "kind": "train",
        "groups": [s["group_id"] for s in summaries],
        "update_unit": stage.update_unit,
        "per_update": stage.items_per_update,
        "seed": derive_seed(spec.seed, "updates", step),
        "temperature": stage.sampling.temperature,
        "learning_rate": stage.learning_rate,
        "probe": _probe(spec, paths, current.label, step),
        # One mini-batch of groups is enough for a gauge.
        "contrast": {
            s["group_id"]: s["contrast"]
            for s in summaries[: stage.prompts_per_update]
            if s["contrast"]
        },
    }


def contrast_of(spec: JobSpec, step: int) -> list[dict[str, Any]]:
    """Return the two objectives whose gradients are compared after this step's verification, as
    JSON-ready fields; none on steps that are not sampled."""
    pair = contrast(spec.stages)
    wanted = spec.analysis is not None and spec.analysis.conflict and spec.learner.zero_stage < 3
    if pair is None or not wanted or not _sampled(spec, step):
        return []
    return [objective.model_dump(mode="json") for objective in pair]


def _sampled(spec: JobSpec, step: int) -> bool:
    return spec.analysis is not None and step % spec.analysis.every_steps == 0


def _probe(spec: JobSpec, paths: JobFolder, label: str, step: int) -> dict[str, Any] | None:
    """What the learners keep for the token analysis; None between sampled steps."""
    analysis = spec.analysis
    if analysis is None or not _sampled(spec, step):
        return None
    return {
        "job_folder": paths.root,
        "step": step,
        "stage": label,
        "max_tokens": analysis.max_tokens,
        "seed": spec.seed,
    }
