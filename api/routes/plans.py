"""What would become of a job: is it right, and what will it take. Nothing is created."""

from __future__ import annotations

from fastapi import APIRouter

from api.answers.plans import Capability, ValidJob
from api.dependencies import Caller, Context, Ctx
from api.operation import Operation, needs
from api.schemas import CreateJob, EstimateJob, ProblemDetail
from api.submission import checked_spec
from api.usage import refuse_over_quota
from services.builtin import resolve_path
from services.datasets import load_questions
from services.estimate.assumptions import DEFAULT
from services.estimate.estimate import Estimate, estimate
from services.estimate.prompts import SAMPLE, mean_prompt_tokens
from services.model_folder import ModelError, inspect_model
from services.spec.problems import Problem, SpecError
from services.spec.warnings import find_warnings
from services.stores.lifecycle import ACTIVE

router = APIRouter(prefix="/v1", tags=["jobs"], route_class=Operation)


@router.post(
    "/jobs:validate",
    response_model=ValidJob,
    operation_id="validateJob",
    openapi_extra=needs("jobs:write", heavy=True, only_looks=True),
)
def validate(body: CreateJob, context: Ctx, caller: Caller) -> ValidJob:
    """Answer as creating the job would, quota included, and create nothing."""
    spec = checked_spec(context, caller, body)
    refuse_over_quota(context, caller.tenant, spec)
    size = context.launcher.cluster_size()
    warnings = find_warnings(spec, size)
    counts = context.store.count_jobs()
    active = sum(counts.get(state, 0) for state in ACTIVE)
    return ValidJob(
        spec=spec,
        warnings=[ProblemDetail(pointer=w.pointer, detail=w.detail) for w in warnings],
        capability=Capability(
            cluster_cpus=size.cpus if size else None,
            cluster_gpus=size.gpus if size else None,
            max_running_jobs=context.settings.max_running_jobs,
            active_jobs=active,
            starts_at_once=size is not None and active < context.settings.max_running_jobs,
        ),
    )


@router.post(
    "/jobs:estimate",
    response_model=Estimate,
    operation_id="estimateJob",
    openapi_extra=needs("jobs:write", heavy=True, only_looks=True),
)
def estimate_job(body: EstimateJob, context: Ctx, caller: Caller) -> Estimate:
    """Tokens, time and memory by role, with the assumptions they rest on."""
    spec = checked_spec(context, caller, body)
    model = resolve_path(spec.model.path)
    try:
        facts = inspect_model(model)
    except ModelError as error:
        detail = (
            f"the weights are fetched when the job starts; the estimate needs them now: {error}"
        )
        raise SpecError([Problem("/model/hub", detail)]) from error
    prompts = mean_prompt_tokens(model, load_questions(spec.data, SAMPLE), spec.data.prompt_suffix)
    assumptions = DEFAULT
    if prompts is not None:
        assumptions = DEFAULT.model_copy(update={"prompt_tokens": round(prompts)})
    return estimate(
        spec,
        facts,
        mean_response_tokens=body.mean_response_tokens,
        threads=_threads(context),
        assumptions=assumptions,
    )


def _threads(context: Context) -> int:
    size = context.launcher.cluster_size()
    return max(1, int(size.cpus)) if size else 2
