"""From the body of a request to an evaluation in the store, or to objections and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.dependencies import Context
from services.builtin import UnknownBuiltin, is_name
from services.model_source import UnknownModel, model_folder, pinned
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.evaluation_validation import find_evaluation_problems
from services.spec.problems import Problem, SpecError, parse_evaluation
from services.stores.protocol import JobRecord


def submit_evaluation(context: Context, data: dict[str, Any]) -> JobRecord:
    """Check an evaluation through and through, then create it.

    Raises:
        SpecError: with everything that is wrong; nothing was created.
    """
    spec = parse_evaluation(data)
    home = context.settings.home
    try:
        spec = _placed(spec, pinned(spec.model.path, context.store, home)).resolved()
        model = model_folder(spec.model.path, context.store, home)
    except (UnknownBuiltin, UnknownModel) as error:
        raise SpecError([Problem("/model/path", str(error))]) from error
    if problems := find_evaluation_problems(spec, model, context.launcher.cluster_size()):
        raise SpecError(problems)
    record = context.store.create_job(spec, None)
    context.wake.set()
    return record


def _placed(spec: EvaluationJobSpec, model: str) -> EvaluationJobSpec:
    """The driver runs in another folder: paths are taken from where the control plane runs."""
    benchmarks = tuple(b.model_copy(update={"path": _absolute(b.path)}) for b in spec.benchmarks)
    return spec.model_copy(
        update={"model": spec.model.model_copy(update={"path": model}), "benchmarks": benchmarks}
    )


def _absolute(path: str) -> str:
    return path if is_name(path) else str(Path(path).expanduser().absolute())
