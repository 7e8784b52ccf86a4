"""Going on from a chosen checkpoint: the same job again, or a fork of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from api.dependencies import Context
from api.problems import ApiProblem
from api.repeated import made_before
from api.schemas import ForkJob
from api.submission import checked
from api.usage import adding, note_begun, refuse_over_quota
from services.checkpoints import CheckpointStore, DamagedCheckpoint, Manifest
from services.control.principal import Principal
from services.forking import fork_spec, fork_state, take_along
from services.lineage import brought
from services.stores.identity import new_job_id
from services.stores.protocol import JobRecord, Origin

_PAGE = 1000


def refuse_other_line(context: Context, job: JobRecord, from_step: int | None) -> None:
    """Refuse a resume from a checkpoint that cannot be used, or that would take one away that
    somebody wants to keep.

    Raises:
        ApiProblem: 404, there is no such checkpoint; 409, it is damaged, or one after it is pinned.
    """
    if from_step is None:
        return
    store = CheckpointStore(context.settings.home.job(job.id).checkpoints)
    manifest_of(store, job, from_step)
    if pinned := sorted(step for step in store.pinned() if step > from_step):
        shown = ", ".join(map(str, pinned))
        detail = (
            f"going back to step {from_step} would set aside pinned checkpoints ({shown}); unpin "
            "them first, or fork the job from that step"
        )
        raise ApiProblem(409, "checkpoint_pinned", detail, extra={"steps": pinned})
    found, problem = store.at(from_step)
    if found is None:
        raise _damaged(DamagedCheckpoint(from_step, problem))


def fork_job(
    context: Context, caller: Principal, source: JobRecord, body: ForkJob, job_id: str | None
) -> JobRecord:
    """Create a job that goes on from a checkpoint of ``source``, for the same tenant.

    Args:
        context: of the control plane.
        source: in whatever state it is.
        body: what was asked for.
        job_id: the id it must get; None for a new one. A job of this id is returned as it is.
        caller: who asks.

    Raises:
        SpecError: with everything that is wrong; nothing was created.
        ApiProblem: 403, the tenant has as much as it may have; 404 or 409, the checkpoint cannot be
            used.
    """
    if made := made_before(context.store, job_id):
        _tell(context, source, made, caller.actor, body.reason)
        note_begun(context, made)
        return made
    store = CheckpointStore(context.settings.home.job(source.id).checkpoints)
    newest = next(iter(store.steps()), 0)
    manifest = manifest_of(store, source, newest if body.step is None else body.step)
    spec = fork_spec(source.training, body.name, body.overrides)
    state = fork_state(source.training, spec, manifest.state)
    spec = checked(context, replace(caller, tenant=source.tenant), spec)
    refuse_over_quota(context, source.tenant, spec)  # before anything is copied; it counts below
    new_id = job_id or new_job_id("training")
    folder = context.settings.home.job(new_id)
    # Before the job exists: it may be started as soon as it does.
    try:
        place = context.settings.home.job(source.id)
        known = {r["step"]: r for r in (*brought(place), *_records(context, source.id))}
        records = [known[step] for step in sorted(known) if step <= manifest.step]
        take_along(place, folder, spec, manifest.step, state, records)
    except DamagedCheckpoint as error:
        raise _damaged(error) from error
    try:
        with adding(context, source.tenant):
            refuse_over_quota(context, source.tenant, spec)
            record = context.store.create_job(
                spec,
                source.preset,
                job_id=new_id,
                tenant=source.tenant,
                labels=source.labels if body.labels is None else body.labels,
                forked_from=Origin(source.id, manifest.step),
                author=caller.actor,
                reason=body.reason,
            )
    except ApiProblem:
        shutil.rmtree(folder.root, ignore_errors=True)
        raise
    _tell(context, source, record, caller.actor, body.reason)
    note_begun(context, record)
    return record


def manifest_of(store: CheckpointStore, job: JobRecord, step: int) -> Manifest:
    """The manifest of a checkpoint.

    Raises:
        ApiProblem: 404, there is none, or it was never finished.
    """
    manifest = store.manifest(step)
    if manifest is None:
        there = ", ".join(map(str, store.steps())) or "none yet"
        detail = f"job {job.id} has no checkpoint of step {step}; there are {there}"
        raise ApiProblem(404, "checkpoint_not_found", detail)
    return manifest


def _damaged(error: DamagedCheckpoint) -> ApiProblem:
    return ApiProblem(409, "checkpoint_damaged", f"{error}; choose another one")


def _tell(
    context: Context, source: JobRecord, fork: JobRecord, author: str, reason: str | None
) -> None:
    """Have the source's log say that it was forked, once."""
    assert fork.forked_from is not None
    data = {"job": fork.id, "step": fork.forked_from.step}
    if any(e.type == "forked" and e.data == data for e in _events(context, source.id)):
        return
    text = f"forked at step {fork.forked_from.step}: job {fork.id}"
    context.store.append_event(source.id, "forked", text, data=data, author=author, reason=reason)


def _records(context: Context, job_id: str) -> Iterator[dict[str, Any]]:
    after = 0
    while page := context.store.metrics(job_id, after, _PAGE):
        yield from page
        after = page[-1]["step"]


def _events(context: Context, job_id: str) -> Iterator[Any]:
    after = 0
    while page := context.store.events(job_id, after, _PAGE):
        yield from page
        after = page[-1].id
