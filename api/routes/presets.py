"""The presets, each with everything it resolves to."""

from __future__ import annotations

from fastapi import APIRouter

from api.operation import Operation, needs
from api.problems import ApiProblem
from api.schemas import PresetList, PresetView
from services.presets.preset import Preset
from services.presets.registry import PRESETS, UnknownPreset

router = APIRouter(prefix="/v1/presets", tags=["presets"], route_class=Operation)


@router.get(
    "",
    response_model=PresetList,
    operation_id="listPresets",
    openapi_extra=needs("jobs:read"),
)
def presets() -> PresetList:
    """Every preset."""
    return PresetList(data=[_view(p) for p in PRESETS.values()])


@router.get(
    "/{name}",
    response_model=PresetView,
    operation_id="getPreset",
    openapi_extra=needs("jobs:read"),
)
def preset(name: str) -> PresetView:
    """One preset."""
    if name not in PRESETS:
        raise ApiProblem(404, "preset_not_found", str(UnknownPreset(name[:100])))
    return _view(PRESETS[name])


def _view(p: Preset) -> PresetView:
    return PresetView(name=p.name, version=p.version, description=p.description, spec=p.resolve())
