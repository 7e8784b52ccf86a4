"""What a job leaves behind: evaluations, models, reports and plots, to list and to fetch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from api.answers.artifacts import ArtifactList, ArtifactView
from api.dependencies import Ctx, VisibleJob
from api.files import FILE_RESPONSES, file_response
from api.operation import Operation, needs
from api.problems import ApiProblem
from services.artifacts import Kind, artifacts, find_artifact

router = APIRouter(prefix="/v1/jobs", tags=["artifacts"], route_class=Operation)


@router.get(
    "/{job_id}/artifacts",
    response_model=ArtifactList,
    operation_id="listArtifacts",
    openapi_extra=needs("jobs:read", heavy="digests"),
)
def list_artifacts(
    job: VisibleJob,
    context: Ctx,
    kind: Annotated[Kind | None, Query(description="only these; plot lists the figures")] = None,
    digests: Annotated[bool, Query(description="with the SHA-256 of each")] = False,
) -> ArtifactList:
    """Files of a job besides its checkpoints."""
    found = artifacts(context.settings.home.job(job.id))
    return ArtifactList(
        data=[
            ArtifactView(
                path=a.path,
                kind=a.kind,
                bytes=a.bytes,
                modified_at=a.modified_at,
                sha256=a.sha256 if digests else None,
            )
            for a in found
            if kind is None or a.kind == kind
        ]
    )


@router.get(
    "/{job_id}/artifacts/{path:path}",
    response_class=FileResponse,
    operation_id="downloadArtifact",
    openapi_extra=needs("checkpoints:read", heavy=True),
    responses=FILE_RESPONSES,
)
def download(job: VisibleJob, path: str, request: Request, context: Ctx) -> FileResponse:
    """An artifact, or a range of it; its ETag is its SHA-256."""
    artifact = find_artifact(context.settings.home.job(job.id), path)
    if artifact is None:
        detail = f"job {job.id} has no artifact {path[:200]!r}; GET .../artifacts lists them"
        raise ApiProblem(404, "artifact_not_found", detail)
    return file_response(request, artifact.file, artifact.sha256)
