"""The kinds of job a control plane runs, each with its specification."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec

JobKind = Literal["training", "evaluation"]
Spec: TypeAlias = JobSpec | EvaluationJobSpec

_MODELS: Final[dict[JobKind, type[JobSpec] | type[EvaluationJobSpec]]] = {
    "training": JobSpec,
    "evaluation": EvaluationJobSpec,
}


def kind_of(spec: Spec) -> JobKind:
    """Return the kind of job a specification makes."""
    return "evaluation" if isinstance(spec, EvaluationJobSpec) else "training"


def read_spec(kind: JobKind, text: str) -> Spec:
    """Read a specification of a kind from JSON.

    Raises:
        ValidationError: it is none.
    """
    return _MODELS[kind].model_validate_json(text)
