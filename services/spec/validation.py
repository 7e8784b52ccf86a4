"""Checks of a specification against the world: model, data and cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from algorithms.objectives import Entangled
from services.builtin import UnknownBuiltin, resolve_path
from services.datasets import DataError, Question, held_out, load_data
from services.gold_check import check_with_pool
from services.job_data import refuse_bad_golds
from services.model_folder import ModelError, ModelFacts, inspect_model
from services.prompt_lengths import long_prompts
from services.spec.job import DataSpec, JobSpec
from services.spec.problems import Problem, pointer

_GOLD_SECONDS: Final = 10.0
"""For accepted answers that need algebra, at submission: what is left is checked when the job
starts."""
_GOLD_WORKERS: Final = 2


@dataclass(frozen=True)
class ClusterSize:
    """What the Ray cluster offers to all jobs together."""

    cpus: float
    gpus: float


def find_problems(spec: JobSpec, cluster: ClusterSize | None) -> list[Problem]:
    """Everything that would stop a job of this specification, in the order of its fields.

    Reads the model folder and the data sets, so it takes as long as reading them does.

    Args:
        spec: a specification that is consistent in itself.
        cluster: None where its size is not known; sizes are then not checked.
    """
    problems: list[Problem] = []
    facts = ModelFacts(context=None)
    model: Path | None = None
    try:
        model = resolve_path(spec.model.path)
        facts = inspect_model(model)
    except (ModelError, UnknownBuiltin, OSError) as error:
        model = None
        problems.append(Problem("/model/path", str(error)))
    context = min((c for c in (spec.generator.max_model_len, facts.context) if c), default=None)
    problems += _data_problems(spec, model, context)
    problems += _context_problems(spec, facts, context)
    if cluster is not None:
        problems += cluster_problems(spec, cluster)
    return problems


def _data_problems(spec: JobSpec, model: Path | None, context: int | None) -> Iterator[Problem]:
    sources: list[tuple[str, DataSpec, int | None]] = [("/data/path", spec.data, None)]
    evaluation = held_out(spec)
    if evaluation is not None and spec.evaluation is not None:
        sources.append(("/evaluation/path", evaluation, spec.evaluation.questions))
    for where, data, limit in sources:
        try:
            questions = _questions(spec, data, limit)
        except DataError as error:
            yield Problem(where, str(error))
            continue
        if model is None or context is None:
            continue
        try:
            long = long_prompts(model, questions, spec.data.prompt_suffix, context)
        except Exception as error:  # a damaged tokenizer fails in any way there is
            yield Problem(
                "/model/path",
                f"the tokenizer cannot be used ({type(error).__name__}: {error}); save it again "
                "with tokenizer.save_pretrained",
            )
            return
        if long:
            worst = max(long, key=lambda p: p.tokens)
            yield Problem(
                where,
                f"{len(long)} of {len(questions)} prompts fill the context of {context} tokens "
                f"(the longest is {worst.question_id!r} with {worst.tokens}); remove these "
                "questions or raise generator.max_model_len",
            )


def _questions(spec: JobSpec, data: DataSpec, limit: int | None) -> list[Question]:
    """The questions of a data set; those trained on with a first look at their answers.

    Raises:
        DataError: the set cannot be used.
    """
    found = load_data(data, limit)
    if data is spec.data and data.bad_golds == "refuse":
        pool = spec.verifier.model_copy(
            update={"workers": min(_GOLD_WORKERS, spec.verifier.workers)}
        )
        refuse_bad_golds(spec, found, check_with_pool(found.questions, pool, _GOLD_SECONDS))
    return found.questions


def _context_problems(spec: JobSpec, facts: ModelFacts, context: int | None) -> Iterator[Problem]:
    asked = spec.generator.max_model_len
    if asked is not None and facts.context is not None and asked > facts.context:
        yield Problem(
            "/generator/max_model_len",
            f"{asked} is larger than the model's context of {facts.context} tokens; lower it",
        )
    if context is None:
        return
    remedy = f"lower it below the model's context of {context} tokens, which holds the prompt too"
    for index, stage in enumerate(spec.stages):
        if stage.length_clip is not None and stage.length_clip >= context:
            part = ["compress"] if isinstance(stage.objective, Entangled) else []
            yield Problem(
                pointer(["stages", index, "objective", *part, "length_clip"]),
                f"the length clip of {stage.length_clip} tokens is never reached; " + remedy,
            )
        if stage.sampling.max_tokens >= context:
            yield Problem(
                pointer(["stages", index, "sampling", "max_tokens"]),
                f"{stage.sampling.max_tokens} response tokens do not fit; {remedy}",
            )
    if spec.evaluation is not None and spec.evaluation.max_tokens >= context:
        yield Problem(
            "/evaluation/max_tokens",
            f"{spec.evaluation.max_tokens} response tokens do not fit; {remedy}",
        )


def cluster_problems(spec: JobSpec, cluster: ClusterSize) -> Iterator[Problem]:
    """More workers than the cluster has."""
    generator, learner = spec.generator, spec.learner
    for kind, offered in (("cpus", cluster.cpus), ("gpus", cluster.gpus)):
        by_generators = generator.workers * getattr(generator, kind)
        by_learners = learner.workers * getattr(learner, kind)
        if by_generators + by_learners <= offered:
            continue
        # Named is the part that asks for more, so that one change can put it right.
        part = "generator" if by_generators >= by_learners else "learner"
        yield Problem(
            f"/{part}/workers",
            f"the job asks for {by_generators + by_learners:g} {kind.upper()[:-1]}s (generators "
            f"{generator.workers} x {getattr(generator, kind):g}, learners {learner.workers} x "
            f"{getattr(learner, kind):g}) and the cluster has {offered:g}; lower "
            f"{part}.workers or {part}.{kind}, or add nodes",
        )
