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
from services.spec.job import DataSpec, GeneratorSpec, JobSpec, LearnerSpec, VerifierSpec
from services.spec.kind import Spec
from services.spec.problems import Problem, pointer
from services.spec.prompt_problems import prompt_problems
from services.verification import kinds

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
        # The weights of one on the hub are fetched, and looked at, when the job starts.
        facts = inspect_model(model, weights=spec.model.on_hub is None)
    except (ModelError, UnknownBuiltin, OSError) as error:
        model = None
        problems.append(Problem("/model/path", str(error)))
    context = min((c for c in (spec.generator.max_model_len, facts.context) if c), default=None)
    problems += _data_problems(spec, model, context)
    problems += _context_problems(spec, facts, context)
    problems += verifier_problems(spec.verifier)
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
        if model is not None and context is not None:
            yield from prompt_problems(where, model, questions, spec.data.prompt_suffix, context)


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


def verifier_problems(spec: VerifierSpec) -> Iterator[Problem]:
    """A verifier that is not installed here."""
    try:
        kinds.check(spec.kind)
    except kinds.UnknownKind as error:
        yield Problem("/verifier/kind", str(error))


def cluster_problems(spec: Spec, cluster: ClusterSize) -> Iterator[Problem]:
    """More workers than the cluster has."""
    parts: dict[str, GeneratorSpec | LearnerSpec] = {"generator": spec.generator}
    if isinstance(spec, JobSpec):
        parts["learner"] = spec.learner
    for kind, offered in (("cpus", cluster.cpus), ("gpus", cluster.gpus)):
        asked = {name: part.workers * getattr(part, kind) for name, part in parts.items()}
        total = sum(asked.values())
        if total <= offered:
            continue
        # Named is the part that asks for more, so that one change can put it right.
        most = max(asked, key=lambda name: asked[name])
        shares = ", ".join(
            f"{name}s {part.workers} x {getattr(part, kind):g}" for name, part in parts.items()
        )
        yield Problem(
            f"/{most}/workers",
            f"the job asks for {total:g} {kind.upper()[:-1]}s ({shares}) and the cluster has "
            f"{offered:g}; lower {most}.workers or {most}.{kind}, or add nodes",
        )
