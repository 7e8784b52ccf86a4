"""From the body of a request to a job in the store, or to objections and nothing else."""

from __future__ import annotations

from pathlib import Path

from api.dependencies import Context
from api.repeated import made_before
from api.schemas import CreateJob
from api.usage import adding, note_begun, refuse_over_quota
from services.builtin import is_name
from services.control.principal import Principal
from services.hub_source import SUBMISSION_SECONDS
from services.presets.registry import resolve
from services.spec.hub_parts import fetch, placed
from services.spec.job import JobSpec
from services.spec.locations import Reach, location_problems
from services.spec.problems import SpecError, parse_spec
from services.spec.validation import find_problems
from services.stores.protocol import JobNotFound, JobRecord


def submit(context: Context, caller: Principal, body: CreateJob, job_id: str | None) -> JobRecord:
    """Check a job through and through, then create it.

    Args:
        context: of the control plane.
        caller: whom the job will belong to.
        body: what was asked for.
        job_id: the id it must get; None for a new one. A job of this id is returned as it is.

    Raises:
        UnknownPreset: no preset has the name.
        SpecError: with everything that is wrong; nothing was created.
        ApiProblem: 403, the tenant has as much as it may have.
    """
    if made := made_before(context.store, job_id):
        note_begun(context, made)
        return made
    spec = checked_spec(context, caller, body)
    with adding(context, caller.tenant):
        refuse_over_quota(context, caller.tenant, spec)
        record = context.store.create_job(
            spec,
            body.preset,
            job_id=job_id,
            tenant=caller.tenant,
            labels=body.labels,
            author=caller.actor,
        )
    note_begun(context, record)
    return record


def checked_spec(context: Context, caller: Principal, body: CreateJob) -> JobSpec:
    """The specification a body resolves to, with absolute paths, after every check but the quota.

    Raises:
        UnknownPreset: no preset has the name.
        SpecError: with everything that is wrong.
    """
    if body.preset is not None:
        spec = resolve(body.preset, body.overrides)
    else:
        spec = parse_spec(body.spec)
    return checked(context, caller, spec)


def checked(context: Context, caller: Principal, spec: JobSpec) -> JobSpec:
    """The specification with absolute paths, after every check but the quota.

    Raises:
        SpecError: with everything that is wrong.
    """
    home = context.settings.home
    spec = placed(with_absolute_paths(spec), home)
    # First where it may look at all: what lies elsewhere must not be probed.
    if problems := location_problems(spec, reach_of(context, caller)):
        raise SpecError(problems)
    fetch(spec, home, weights=False, seconds=SUBMISSION_SECONDS)
    if problems := find_problems(spec, context.launcher.cluster_size()):
        raise SpecError(problems)
    return spec


def with_absolute_paths(spec: JobSpec) -> JobSpec:
    """The driver runs in another folder: paths are taken from where the control plane runs."""
    updates = {
        "model": spec.model.model_copy(update={"path": absolute(spec.model.path)}),
        "data": spec.data.model_copy(update={"path": absolute(spec.data.path)}),
    }
    if spec.evaluation is None:
        return spec.model_copy(update=updates)
    evaluation = spec.evaluation.model_copy(update={"path": absolute(spec.evaluation.path)})
    return spec.model_copy(update={**updates, "evaluation": evaluation})


def absolute(path: str) -> str:
    """A path of a specification, absolute. One that begins with ``~`` is left as it is, for nobody
    here knows whose home is meant; it is refused with the places that may not be read."""
    if not path:
        return path  # Of what is on the hub.
    return path if is_name(path) or path.startswith("~") else str(Path(path).absolute())


def reach_of(context: Context, caller: Principal) -> Reach:
    """What a caller's jobs may read. The whole machine only without a key, which is only where
    there are none: who has a key has what the operator named."""
    roots = context.settings.roots
    if roots is None and caller.key_id is not None:
        roots = ()

    def sees_job(job_id: str) -> bool:
        try:
            return caller.sees(context.store.get_job(job_id).tenant)
        except JobNotFound:
            return False

    hub = context.settings.hub
    if hub is None and caller.key_id is not None:
        hub = ()
    return Reach(roots, context.settings.home, caller.tenant, sees_job, hub)
