"""Where each value of a specification comes from: the paper, a gap it leaves, or the system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.spec.job import JobSpec

Mark = Literal["paper", "gap", "system", "changed"]
"""``paper``: stated there. ``gap``: the paper is silent, the default is argued for in
docs/method.md. ``system``: no part of the method. ``changed``: differs from the paper's preset."""

_PAPER: Final = frozenset(
    {
        "model.path",
        "data.path",
        "compress.objective.type",
        "compress.objective.length_clip",
        "compress.objective.shaping",
        "compress.objective.aggregation",
        "compress.sampling.max_tokens",
        "compress.sampling.group_size",
        "explore.objective.type",
        "explore.objective.length_threshold",
        "explore.objective.length_penalty",
        "explore.sampling.group_size",
        *(
            f"{stage}.{field}"
            for stage in ("compress", "explore")
            for field in ("steps", "prompts_per_step", "prompts_per_update", "learning_rate")
        ),
    }
)
_METHOD: Final = ("compress.", "explore.", "entangled.", "learner.betas", "learner.eps")
_OPTIMISER: Final = ("learner.weight_decay", "learner.grad_clip", "learner.old_logprobs")


@dataclass(frozen=True)
class Resolved:
    """One leaf of a specification."""

    path: str
    """As ``--set`` takes it."""
    value: Any
    mark: Mark


def resolved_values(spec: JobSpec, paper: JobSpec) -> list[Resolved]:
    """Return every value of ``spec`` with where it comes from.

    Args:
        spec: what is asked about.
        paper: the paper's own preset; a value of the method that differs from it is ``changed``.
    """
    theirs = {key: value for _, key, value in _leaves(paper)}
    return [Resolved(path, value, _mark(key, value, theirs)) for path, key, value in _leaves(spec)]


def _mark(key: str, value: Any, paper: Mapping[str, Any]) -> Mark:
    if key.endswith(".name"):
        return "system"
    if key in _PAPER:
        mark: Mark = "paper"
    elif key.startswith((*_METHOD, *_OPTIMISER)) or key.startswith("evaluation."):
        mark = "gap"
    else:
        return "system"
    differs = not key.endswith(".path") and paper.get(key, value) != value
    return "changed" if differs else mark


def _leaves(spec: JobSpec) -> Iterator[tuple[str, str, Any]]:
    """Yield path, key (the stage named by its objective) and value of every leaf."""
    content = spec.model_dump(mode="json")
    for stage in content.pop("stages"):
        kind = stage["objective"]["type"]
        for path, value in _flat(stage):
            yield f"stages.{stage['name']}.{path}", f"{kind}.{path}", value
    for path, value in _flat(content):
        yield path, path, value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else name)
    else:
        yield path, value
