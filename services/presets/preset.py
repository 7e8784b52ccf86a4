"""A preset and how overrides are laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from services.spec.job import JobSpec
from services.spec.problems import Problem, SpecError, parse_spec, pointer


@dataclass(frozen=True)
class Preset:
    """A complete specification under a name."""

    name: str
    version: int
    """Raised whenever a number of ``spec`` changes."""
    description: str
    spec: Mapping[str, Any]

    def resolve(self, overrides: Mapping[str, Any] | None = None) -> JobSpec:
        """The specification with ``overrides`` merged in.

        Mappings merge field by field; everything else replaces. Stages may be given as a mapping
        by name, ``{"stages": {"compression": {"steps": 3}}}``, which changes those stages and
        keeps the rest; a list of stages replaces them all.

        Raises:
            SpecError: an override names a stage the preset has not, or the result is not valid.
        """
        return parse_spec(merged(self.spec, overrides or {}))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A specification with overrides laid over it, as :meth:`Preset.resolve` does, not checked.

    Raises:
        SpecError: an override names a stage that ``base`` has not.
    """
    return _merge(deepcopy(dict(base)), over, [])


def _merge(base: dict[str, Any], over: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    for key, value in over.items():
        old = base.get(key)
        here = [*path, key]
        if here == ["stages"] and isinstance(value, Mapping) and isinstance(old, list):
            _merge_stages(old, value)
        elif isinstance(value, Mapping) and isinstance(old, dict) and _same_variant(old, value):
            _merge(old, value, here)
        else:
            base[key] = deepcopy(value)
    return base


def _same_variant(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Fields of one objective mean nothing to another: a new ``type`` starts afresh."""
    return "type" not in new or new["type"] == old.get("type")


def _merge_stages(stages: list[dict[str, Any]], over: Mapping[str, Any]) -> None:
    by_name = {s["name"]: s for s in stages}
    for name, value in over.items():
        where = pointer(["stages", name])
        if name not in by_name:
            known = ", ".join(by_name)
            raise SpecError([Problem(where, f"there is no stage {name!r}; the stages are {known}")])
        if not isinstance(value, Mapping):
            raise SpecError([Problem(where, "give the fields of the stage to change")])
        _merge(by_name[name], value, ["stages", name])
