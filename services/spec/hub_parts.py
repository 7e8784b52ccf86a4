"""The parts of a specification that name things of the Hugging Face hub: placed, and fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from services.home import Home
from services.hub_source import HubError
from services.model_folder import ModelError, inspect_model
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.spec.kind import Spec
from services.spec.on_hub import OnHub
from services.spec.problems import Problem, SpecError, pointer

S = TypeVar("S", JobSpec, EvaluationJobSpec)


def parts(spec: Spec) -> Mapping[str, OnHub]:
    """What has a path or names something on the hub, by its pointer."""
    found: dict[str, OnHub] = {"/model": spec.model}
    if isinstance(spec, JobSpec):
        found["/data"] = spec.data
        if spec.evaluation is not None:
            found["/evaluation"] = spec.evaluation
    if isinstance(spec, EvaluationJobSpec):
        for index, benchmark in enumerate(spec.benchmarks):
            found[pointer(["benchmarks", index])] = benchmark
    return found


def hub_parts(spec: Spec) -> Mapping[str, OnHub]:
    """Those that name something on the hub."""
    return {where: part for where, part in parts(spec).items() if part.on_hub is not None}


def placed(spec: S, home: Home) -> S:
    """The specification with the path of what is on the hub filled in: its place in the cache."""
    updates = {where: _placed(part, home) for where, part in hub_parts(spec).items()}
    named = ("model", "data", "evaluation")
    changed: dict[str, object] = {n: updates[f"/{n}"] for n in named if f"/{n}" in updates}
    if isinstance(spec, EvaluationJobSpec):
        changed["benchmarks"] = tuple(
            updates.get(pointer(["benchmarks", index]), benchmark)
            for index, benchmark in enumerate(spec.benchmarks)
        )
    return spec.model_copy(update=changed)


def _placed(part: OnHub, home: Home) -> OnHub:
    source = part.on_hub
    assert source is not None
    return part.model_copy(update={"path": str(source.place(home))})


def fetch(
    spec: Spec,
    home: Home,
    *,
    weights: bool,
    seconds: float,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Fetch what a specification names on the hub and is not there yet.

    Args:
        spec: with its places filled in.
        home: whose cache it goes to.
        weights: whether the weights of a model are wanted too. With them it is looked at as a
            whole: safetensors, and no code of its own.
        seconds: longest wait for each.
        waiting: called twice a second meanwhile; may raise to give up.

    Raises:
        SpecError: with what could not be had, or cannot be used.
    """
    problems = []
    for where, part in hub_parts(spec).items():
        source = part.on_hub
        assert source is not None
        place = source.place(home)
        try:
            if source.kind == "model":
                if not _is_usable(part, home, weights):
                    source.fetch(home, weights=weights, seconds=seconds, waiting=waiting)
                    inspect_model(place, weights=weights)
            elif not place.is_file():
                source.fetch(home, weights=False, seconds=seconds, waiting=waiting)
        except (HubError, ModelError) as error:
            problems.append(Problem(f"{where}/hub", str(error)))
    if problems:
        raise SpecError(problems)


def _is_usable(part: OnHub, home: Home, weights: bool) -> bool:
    assert part.on_hub is not None
    try:
        inspect_model(part.on_hub.place(home), weights=weights)
    except (ModelError, OSError):
        return False
    return True
