"""The log of one worker: a file in the job's folder, named after role and rank."""

from __future__ import annotations

import faulthandler
import logging
import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "LACONIC_ROLE_LOGS"
"""Folder of the logs, in the environment of a worker."""
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_OWN_WAYS: Final = ("vllm",)
"""Loggers that hand nothing on to the root."""


def log_file(folder: Path, role: str, rank: int) -> Path:
    return folder / f"{role}-{rank}.log"


def log_variables() -> dict[str, str]:
    """What a worker needs in its environment to keep its log where this process does."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def keep_log(role: str, rank: int, folder: Path | None = None) -> None:
    """Have this process write its log to its file, and its stack where it is killed by a fault of
    its own.

    Args:
        role: of the worker, e.g. ``generator``.
        rank: among those of its role.
        folder: of the logs; else the one in the environment, else nothing is written.
    """
    chosen = folder or (Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None)
    if chosen is None:
        return
    os.environ[VARIABLE] = str(chosen)  # for the workers this process starts
    chosen.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log_file(chosen, role, rank), encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    for logger in (logging.getLogger(), *map(logging.getLogger, _OWN_WAYS)):
        logger.addHandler(handler)
    root = logging.getLogger()
    root.setLevel(min(root.level or logging.INFO, logging.INFO))
    # The stream stays open as long as the process: faulthandler writes to its descriptor.
    assert handler.stream is not None
    faulthandler.enable(handler.stream)
    root.info("%s %d runs in process %d", role, rank, os.getpid())
