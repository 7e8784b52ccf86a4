"""From the body of a request to a job in the store, or to objections and nothing else."""

from __future__ import annotations

from pathlib import Path

from api.dependencies import Context
from api.schemas import CreateJob
from services.builtin import is_name
from services.presets.registry import resolve
from services.spec.job import JobSpec
from services.spec.problems import SpecError, parse_spec
from services.spec.validation import find_problems
from services.stores.protocol import JobRecord


def submit(context: Context, body: CreateJob) -> JobRecord:
    """Check a job through and through, then create it.

    Raises:
        UnknownPreset: no preset has the name.
        SpecError: with everything that is wrong; nothing was created.
    """
    if body.preset is not None:
        spec = resolve(body.preset, body.overrides)
    else:
        spec = parse_spec(body.spec)
    spec = with_absolute_paths(spec)
    if problems := find_problems(spec, context.launcher.cluster_size()):
        raise SpecError(problems)
    record = context.store.create_job(spec, body.preset)
    context.wake.set()
    return record


def with_absolute_paths(spec: JobSpec) -> JobSpec:
    """The driver runs in another folder: paths are taken from where the control plane runs."""
    updates = {
        "model": spec.model.model_copy(update={"path": _absolute(spec.model.path)}),
        "data": spec.data.model_copy(update={"path": _absolute(spec.data.path)}),
    }
    if spec.evaluation is None:
        return spec.model_copy(update=updates)
    evaluation = spec.evaluation.model_copy(update={"path": _absolute(spec.evaluation.path)})
    return spec.model_copy(update={**updates, "evaluation": evaluation})


def _absolute(path: str) -> str:
    return path if is_name(path) else str(Path(path).expanduser().absolute())
