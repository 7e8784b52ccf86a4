"""Tells what is lost with its machine from what has done something wrong."""

from __future__ import annotations

from typing import Final

from ray import exceptions

_GONE: Final = (
    exceptions.LocalRayletDiedError,
    exceptions.NodeDiedError,
    exceptions.ObjectLostError,
    exceptions.RaySystemError,
    exceptions.WorkerCrashedError,
)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that a worker, its machine or Ray is gone: killed, out of memory, taken
    away. A worker that could not start has told why, and would again."""
    if isinstance(error, exceptions.RayTaskError) and error.cause is not None:
        error = error.cause
    if isinstance(error, exceptions.RayActorError):
        return not error.actor_init_failed
    return isinstance(error, _GONE)
