"""What is allowed, and perhaps not meant."""

from __future__ import annotations

from collections.abc import Iterator

from services.spec.job import JobSpec
from services.spec.problems import Problem, pointer
from services.spec.validation import ClusterSize


def find_warnings(spec: JobSpec, cluster: ClusterSize | None) -> list[Problem]:
    """Remarks on a specification that has no problems, in the order of its fields.

    Args:
        spec: of the job.
        cluster: None where its size is not known.
    """
    return [*_of_data(spec), *_of_stages(spec), *_of_evaluation(spec), *_of_cluster(spec, cluster)]


def _of_data(spec: JobSpec) -> Iterator[Problem]:
    if spec.evaluation is not None and spec.evaluation.path == spec.data.path:
        yield Problem(
            "/evaluation/path",
            "the held-out questions are the ones trained on, so the report shows memory rather "
            "than skill; hold some out",
        )


def _of_stages(spec: JobSpec) -> Iterator[Problem]:
    every, total = spec.checkpoint.every_steps, spec.total_steps
    for index, stage in enumerate(spec.stages):
        if every > stage.steps:
            yield Problem(
                pointer(["stages", index, "steps"]),
                f"no checkpoint falls within the stage ({stage.steps} steps, one every {every}): "
                "if it is interrupted it starts over; lower checkpoint.every_steps",
            )
    if spec.analysis is not None and spec.analysis.every_steps > total:
        yield Problem(
            "/analysis/every_steps",
            f"no sample is taken: the job has {total} steps at most; lower it for figures of "
            "tokens",
        )


def _of_evaluation(spec: JobSpec) -> Iterator[Problem]:
    if spec.evaluation is None:
        yield Problem(
            "/evaluation", "nothing is measured on held-out questions; add evaluation for a report"
        )
    elif spec.evaluation.questions * spec.evaluation.samples < 100:
        asked = spec.evaluation.questions * spec.evaluation.samples
        yield Problem(
            "/evaluation/questions",
            f"{asked} responses leave accuracy uncertain by ten points and more; ask for more",
        )


def _of_cluster(spec: JobSpec, cluster: ClusterSize | None) -> Iterator[Problem]:
    if cluster is None:
        yield Problem(
            "", "the cluster does not answer, so whether the workers fit on it is not known"
        )
    elif cluster.gpus and not (spec.generator.gpus or spec.learner.gpus):
        yield Problem(
            "/generator/gpus",
            f"the cluster has {cluster.gpus:g} GPUs and the job uses none; set generator.gpus and "
            "learner.gpus",
        )
