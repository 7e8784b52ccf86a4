"""Models with a name: the policy of a checkpoint, given a name under which it stays."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from api.answers.models import Model, ModelFile, ModelList, Promote
from api.dependencies import Caller, Context, Ctx, visible_job
from api.files import FILE_RESPONSES, file_response
from api.going_on import manifest_of
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.routes.checkpoints import store_of
from services.control.principal import Principal
from services.named_models import NAME, NamedModel, NamedModels

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=Operation)

Name = Annotated[str, Path(pattern=NAME, description="Name of the model.")]


@router.get(
    "",
    response_model=ModelList,
    operation_id="listModels",
    openapi_extra=needs("jobs:read"),
)
def list_models(context: Ctx, caller: Caller) -> ModelList:
    """The named models of the caller's tenant."""
    models = _models(context, caller)
    return ModelList(data=[_view(models, m) for m in models.all()])


@router.put(
    "/{name}",
    response_model=Model,
    operation_id="promoteModel",
    openapi_extra=needs("checkpoints:write", heavy=True),
    responses={201: {"model": Model, "description": "The name is new."}},
)
def promote(name: Name, body: Promote, response: Response, context: Ctx, caller: Caller) -> Model:
    """Give the policy of a checkpoint a name. The files stay when the checkpoint goes; a name that
    is taken stands for the new one from then on."""
    job = visible_job(body.job, context, caller)
    manifest = manifest_of(store_of(context, job), job, body.step)
    models = _models(context, caller)
    with context.creating:
        is_new = models.find(name) is None
        model = models.promote(name, job.id, manifest)
    if is_new:
        response.status_code = 201
        response.headers["Location"] = f"/v1/models/{name}"
    return _view(models, model)


@router.get(
    "/{name}", response_model=Model, operation_id="getModel", openapi_extra=needs("jobs:read")
)
def get(name: Name, context: Ctx, caller: Caller) -> Model:
    """A named model with its files."""
    models = _models(context, caller)
    return _view(models, _found(models, name))


@router.get(
    "/{name}/files/{path:path}",
    response_class=FileResponse,
    operation_id="downloadModelFile",
    openapi_extra=needs("checkpoints:read"),
    responses=FILE_RESPONSES,
)
def download(name: Name, path: str, request: Request, context: Ctx, caller: Caller) -> FileResponse:
    """A file of a named model, or a range of it; its ETag is its SHA-256."""
    models = _models(context, caller)
    model = _found(models, name)
    if path not in model.sha256:
        raise ApiProblem(404, "file_not_found", f"model {name} has no file {path[:200]!r}")
    return file_response(request, models.folder(name) / path, model.sha256[path])


@router.delete(
    "/{name}",
    status_code=204,
    operation_id="deleteModel",
    openapi_extra=needs("checkpoints:write"),
)
def delete(name: Name, context: Ctx, caller: Caller) -> Response:
    """Take a name away. The checkpoint it came from, if it is still there, stays."""
    models = _models(context, caller)
    with context.creating:
        models.remove(_found(models, name).name)
    return Response(status_code=204)


def _models(context: Context, caller: Principal) -> NamedModels:
    return NamedModels(context.settings.home.promoted(caller.tenant))


def _found(models: NamedModels, name: str) -> NamedModel:
    model = models.find(name)
    if model is None:
        detail = f"there is no model {name!r}; GET /v1/models lists them"
        raise ApiProblem(404, "model_not_found", detail)
    return model


def _view(models: NamedModels, model: NamedModel) -> Model:
    folder = models.folder(model.name)
    return Model(
        name=model.name,
        job=model.job,
        step=model.step,
        promoted_at=model.promoted_at,
        path=str(folder),
        files=[
            ModelFile(path=path, bytes=(folder / path).stat().st_size, sha256=digest)
            for path, digest in sorted(model.sha256.items())
        ],
    )
