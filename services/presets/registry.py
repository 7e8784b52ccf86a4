"""All presets by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from services.presets.paper import PAPER_1_5B, PAPER_7B
from services.presets.preset import Preset
from services.presets.tiny_cpu import TINY_CPU
from services.spec.job import JobSpec

PRESETS: Final[dict[str, Preset]] = {p.name: p for p in (TINY_CPU, PAPER_1_5B, PAPER_7B)}


class UnknownPreset(ValueError):
    """No preset has this name."""

    def __init__(self, name: str) -> None:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        super().__init__(f"no preset {name!r}; {hint}there are {', '.join(PRESETS)}")


def resolve(preset: str, overrides: Mapping[str, Any] | None = None) -> JobSpec:
    """The specification of a preset with overrides (see :meth:`Preset.resolve`).

    Raises:
        UnknownPreset: no preset has this name.
        SpecError: the result is not a valid specification.
    """
    if preset not in PRESETS:
        raise UnknownPreset(preset)
    return PRESETS[preset].resolve(overrides)
