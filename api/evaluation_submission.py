"""From the body of a request to an evaluation in the store, or to objections and nothing else."""

from __future__ import annotations

from api.dependencies import Context
from api.repeated import made_before
from api.schemas import CreateEvaluation
from api.submission import absolute, reach_of
from api.usage import adding, note_begun, refuse_over_quota
from services.builtin import UnknownBuiltin
from services.control.principal import Principal
from services.hub_source import SUBMISSION_SECONDS
from services.model_source import UnknownModel, job_of, model_folder, pinned
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.evaluation_validation import find_evaluation_problems
from services.spec.hub_parts import fetch, placed
from services.spec.locations import location_problems
from services.spec.problems import Problem, SpecError, parse_evaluation
from services.stores.protocol import JobNotFound, JobRecord


def submit_evaluation(
    context: Context, caller: Principal, body: CreateEvaluation, job_id: str | None
) -> JobRecord:
    """Check an evaluation through and through, then create it.

    Args:
        context: of the control plane.
        caller: whom it will belong to.
        body: what was asked for.
        job_id: the id it must get; None for a new one. A job of this id is returned as it is.

    Raises:
        SpecError: with everything that is wrong; nothing was created.
        ApiProblem: 403, the tenant has as much as it may have.
    """
    if made := made_before(context.store, job_id):
        note_begun(context, made)
        return made
    spec = parse_evaluation(body.spec)
    home = context.settings.home
    try:
        _refuse_foreign_model(context, caller, spec.model.path)
        model_path = pinned(spec.model.path, context.store, home) if spec.model.path else ""
        spec = placed(_placed(spec, model_path), home).resolved()
        # First where it may look at all: what lies elsewhere must not be probed.
        if problems := location_problems(spec, reach_of(context, caller)):
            raise SpecError(problems)
        fetch(spec, home, weights=False, seconds=SUBMISSION_SECONDS)
        model = model_folder(spec.model.path, context.store, home)
    except (UnknownBuiltin, UnknownModel) as error:
        raise SpecError([Problem("/model/path", str(error))]) from error
    if problems := find_evaluation_problems(spec, model, context.launcher.cluster_size()):
        raise SpecError(problems)
    with adding(context, caller.tenant):
        refuse_over_quota(context, caller.tenant, spec)
        record = context.store.create_job(
            spec,
            None,
            job_id=job_id,
            tenant=caller.tenant,
            labels=body.labels,
            author=caller.actor,
        )
    note_begun(context, record)
    return record


def _refuse_foreign_model(context: Context, caller: Principal, path: str) -> None:
    """What another tenant's job has made is not there."""
    source = job_of(path)
    if source is None:
        return
    try:
        foreign = not caller.sees(context.store.get_job(source).tenant)
    except JobNotFound:
        foreign = True
    if foreign:
        raise UnknownModel(f"there is no training job {source!r}; laconic status lists them")


def _placed(spec: EvaluationJobSpec, model: str) -> EvaluationJobSpec:
    """The driver runs in another folder: paths are taken from where the control plane runs."""
    benchmarks = tuple(b.model_copy(update={"path": absolute(b.path)}) for b in spec.benchmarks)
    return spec.model_copy(
        update={"model": spec.model.model_copy(update={"path": model}), "benchmarks": benchmarks}
    )
