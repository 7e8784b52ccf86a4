"""``--set`` and ``--spec`` of the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from services.builtin import is_name


class BadInput(ValueError):
    """An argument that cannot be used; the message names it and the remedy."""


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """``["stages.compression.steps=3"]`` as ``{"stages": {"compression": {"steps": 3}}}``. Relative
    paths become absolute.

    Raises:
        BadInput: one is not of the form ``PATH=VALUE``, or two contradict each other.
    """
    result: dict[str, Any] = {}
    for setting in settings:
        path, separator, text = setting.partition("=")
        keys = path.split(".")
        if not separator or not all(keys):
            raise BadInput(f"--set {setting}: write PATH=VALUE, e.g. stages.compression.steps=3")
        place = result
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise BadInput(f"--set {setting}: {key} was already set to a value")
        place[keys[-1]] = _value(setting, text)
    return _with_local_paths(result)


def _value(setting: str, text: str) -> Any:
    try:
        # YAML takes 1e-4 for a text; JSON does not.
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"--set {setting}: the value is not YAML ({error})") from error


def read_spec(file: str) -> dict[str, Any]:
    """A specification from YAML or JSON; ``-`` reads standard input. Relative paths become
    absolute.

    Raises:
        BadInput: it cannot be read, or is not a mapping.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        spec = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--spec {file}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise BadInput(f"--spec {file}: is not YAML or JSON ({error})") from error
    if not isinstance(spec, dict):
        raise BadInput(f"--spec {file}: must hold a mapping with model, data and stages")
    return _with_local_paths(spec)


def _with_local_paths(spec: dict[str, Any]) -> dict[str, Any]:
    """Paths mean the folder the command was given in, not the one the control plane runs in."""
    for name in ("model", "data", "evaluation"):
        part = spec.get(name)
        path = part.get("path") if isinstance(part, dict) else None
        if isinstance(path, str) and not is_name(path):
            spec[name] = {**part, "path": str(Path(path).expanduser().absolute())}  # type: ignore[dict-item]
    return spec
