"""Checks of an evaluation against the world: model, benchmarks and cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from services.datasets import DataError
from services.evaluation.question_set import load_question_set
from services.model_folder import ModelError, inspect_model
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.problems import Problem, pointer
from services.spec.prompt_problems import prompt_problems
from services.spec.validation import ClusterSize, cluster_problems, verifier_problems


def find_evaluation_problems(
    spec: EvaluationJobSpec, model: Path, cluster: ClusterSize | None
) -> list[Problem]:
    """Everything that would stop an evaluation, in the order of its fields.

    Reads the model's headers and the benchmarks, so it takes as long as reading them does.

    Args:
        spec: an evaluation that is consistent in itself.
        model: the folder that its model stands for.
        cluster: None where its size is not known; sizes are then not checked.
    """
    problems: list[Problem] = []
    context: int | None = None
    usable: Path | None = model
    try:
        context = inspect_model(model, weights=spec.model.on_hub is None).context
    except (ModelError, OSError) as error:
        usable = None
        problems.append(Problem("/model/path", str(error)))
    problems += _benchmark_problems(spec, usable, spec.generator.max_model_len or context)
    asked = spec.generator.max_model_len
    if asked is not None and context is not None and asked > context:
        problems.append(
            Problem(
                "/generator/max_model_len",
                f"{asked} is larger than the model's context of {context} tokens; lower it",
            )
        )
    problems += verifier_problems(spec.verifier)
    if cluster is not None:
        problems += cluster_problems(spec, cluster)
    return problems


def _benchmark_problems(
    spec: EvaluationJobSpec, model: Path | None, context: int | None
) -> Iterator[Problem]:
    for index, benchmark in enumerate(spec.benchmarks):
        where = pointer(["benchmarks", index, "path"])
        try:
            questions = load_question_set(benchmark, spec.questions).questions
        except DataError as error:
            yield Problem(where, str(error))
            continue
        if model is not None and context is not None:
            yield from prompt_problems(where, model, questions, spec.prompt_suffix, context)
