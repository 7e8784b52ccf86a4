"""The presets, each with everything it resolves to."""

from __future__ import annotations

from fastapi import APIRouter

from api.operation import Operation, needs
from api.schemas import PresetList, PresetView
from services.presets.registry import PRESETS

router = APIRouter(prefix="/v1/presets", tags=["presets"], route_class=Operation)


@router.get(
    "",
    response_model=PresetList,
    operation_id="listPresets",
    openapi_extra=needs("jobs:read"),
)
def presets() -> PresetList:
    return PresetList(
        data=[
            PresetView(name=p.name, version=p.version, description=p.description, spec=p.resolve())
            for p in PRESETS.values()
        ]
    )
