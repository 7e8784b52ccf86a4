"""The checkpoints of a job: what there is, its files, and what shall stay."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from api.answers.checkpoints import (
    CheckpointFile,
    CheckpointList,
    CheckpointManifest,
    CheckpointView,
)
from api.dependencies import Context, Ctx, VisibleJob
from api.files import FILE_RESPONSES, file_response
from api.going_on import manifest_of
from api.operation import Operation, needs
from api.problems import ApiProblem
from services.checkpoints import CheckpointStore, Manifest
from services.stores.lifecycle import ACTIVE, TERMINAL
from services.stores.protocol import JobRecord

router = APIRouter(prefix="/v1/jobs", tags=["checkpoints"], route_class=Operation)

Step = Annotated[int, Path(ge=0, lt=10**9, description="Step of the checkpoint.")]


@router.get(
    "/{job_id}/checkpoints",
    response_model=CheckpointList,
    operation_id="listCheckpoints",
    openapi_extra=needs("jobs:read"),
)
def list_checkpoints(job: VisibleJob, context: Ctx) -> CheckpointList:
    """Every checkpoint there is, the newest first."""
    store = store_of(context, job)
    pinned = store.pinned()
    found = [store.manifest(step) for step in store.steps()]
    return CheckpointList(data=[CheckpointView(**_fields(m, pinned)) for m in found if m])


@router.get(
    "/{job_id}/checkpoints/{step}",
    response_model=CheckpointManifest,
    operation_id="getCheckpoint",
    openapi_extra=needs("jobs:read"),
)
def get(job: VisibleJob, step: Step, context: Ctx) -> CheckpointManifest:
    """A checkpoint with the size and the SHA-256 of each file."""
    store = store_of(context, job)
    manifest = manifest_of(store, job, step)
    files = [
        CheckpointFile(path=name, bytes=manifest.sizes[name], sha256=digest)
        for name, digest in sorted(manifest.sha256.items())
    ]
    return CheckpointManifest(**_fields(manifest, store.pinned()), files=files)


@router.get(
    "/{job_id}/checkpoints/{step}/files/{path:path}",
    response_class=FileResponse,
    operation_id="downloadCheckpointFile",
    openapi_extra=needs("checkpoints:read"),
    responses=FILE_RESPONSES,
)
def download(
    job: VisibleJob, step: Step, path: str, request: Request, context: Ctx
) -> FileResponse:
    """A file of a checkpoint, or a range of it; its ETag is its SHA-256."""
    manifest = manifest_of(store_of(context, job), job, step)
    # Only names that the manifest lists lead to a file.
    if path not in manifest.sha256:
        detail = f"checkpoint {step} has no file {path[:200]!r}; its manifest lists what there is"
        raise ApiProblem(404, "file_not_found", detail)
    return file_response(request, manifest.folder / path, manifest.sha256[path])


@router.put(
    "/{job_id}/checkpoints/{step}/pin",
    status_code=204,
    operation_id="pinCheckpoint",
    openapi_extra=needs("checkpoints:write"),
)
def pin(job: VisibleJob, step: Step, context: Ctx) -> Response:
    """Keep a checkpoint, whatever newer ones there are."""
    store = store_of(context, job)
    store.pin(manifest_of(store, job, step).step)
    return Response(status_code=204)


@router.delete(
    "/{job_id}/checkpoints/{step}/pin",
    status_code=204,
    operation_id="unpinCheckpoint",
    openapi_extra=needs("checkpoints:write"),
)
def unpin(job: VisibleJob, step: Step, context: Ctx) -> Response:
    """Let go of a checkpoint; the next one that is written may take it away."""
    store = store_of(context, job)
    store.unpin(manifest_of(store, job, step).step)
    return Response(status_code=204)


@router.delete(
    "/{job_id}/checkpoints/{step}",
    status_code=204,
    operation_id="deleteCheckpoint",
    openapi_extra=needs("checkpoints:write"),
)
def delete(job: VisibleJob, step: Step, context: Ctx) -> Response:
    """Take a checkpoint away. 409 for one that is pinned, that its job may still need, or that its
    job would go on from."""
    store = store_of(context, job)
    manifest = manifest_of(store, job, step)
    reason = None
    if step in store.pinned():
        reason = "it is pinned; unpin it first"
    elif job.state in ACTIVE:
        reason = f"the job is {job.state} and looks after its checkpoints itself; wait for its end"
    elif step == store.steps()[0] and job.state not in TERMINAL:
        reason = f"the job is {job.state} and would go on from it; cancel the job first"
    if reason is not None:
        raise ApiProblem(409, "checkpoint_in_use", f"checkpoint {step} stays: {reason}")
    store.remove(manifest.step)
    return Response(status_code=204)


def store_of(context: Context, job: JobRecord) -> CheckpointStore:
    """The checkpoints of a job."""
    return CheckpointStore(context.settings.home.job(job.id).checkpoints)


def _fields(manifest: Manifest, pinned: frozenset[int]) -> dict[str, object]:
    machine = manifest.state.get("machine") or {}
    return {
        "step": manifest.step,
        "stage": machine.get("stage"),
        "created_at": manifest.created_at,
        "bytes": sum(manifest.sizes.values()),
        "pinned": manifest.step in pinned,
        "policy_version": manifest.state.get("version"),
    }
