"""Begins a job with a checkpoint of another: what it may change, and what it takes along.

A fork has files of its own (hard links where the disk allows), so the job it came from may be
deleted. It has the whole line: the step records, evaluations and models up to its checkpoint are
those of the job it came from, so curves and reports begin at the first step.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from algorithms.stage_carry import CannotCarry, carry
from algorithms.stage_machine import StageMachine
from services.atomic_write import write_whole
from services.checkpoints import CheckpointStore, DamagedCheckpoint, link_tree
from services.home import JobFolder
from services.lineage import Inheritance, made_until, samples_until
from services.presets.preset import merged
from services.spec.job import JobSpec
from services.spec.problems import Problem, SpecError, parse_spec

_FIXED: Final[dict[str, str]] = {
    "model": "the weights of a checkpoint are those of its model",
    "data": "the checkpoint knows which of these questions were asked",
    "evaluation": "figures before and after would not compare; only every_steps may change",
    "learner/workers": "the state of the optimiser is split among the workers",
    "learner/zero_stage": "the state of the optimiser is split by it",
    "learner/dtype": "the weights of the optimiser are of this type",
    "learner/betas": "it is part of the state of the optimiser",
    "learner/eps": "it is part of the state of the optimiser",
    "learner/weight_decay": "it is part of the state of the optimiser",
}
"""What a checkpoint cannot carry to another value, and why."""


def fork_spec(source: JobSpec, name: str | None, overrides: Mapping[str, Any]) -> JobSpec:
    """The specification of a fork.

    Raises:
        SpecError: it is none, or differs in what a checkpoint cannot carry.
    """
    over = {**overrides, **({} if name is None else {"name": name})}
    spec = parse_spec(merged(source.model_dump(mode="json"), over))
    old, new = (_comparable(s) for s in (source, spec))
    problems = [
        Problem(f"/{place}", f"a fork cannot change it: {why}")
        for place, why in _FIXED.items()
        if _at(old, place) != _at(new, place)
    ]
    if problems:
        raise SpecError(problems)
    return spec


def fork_state(source: JobSpec, spec: JobSpec, state: Mapping[str, Any]) -> dict[str, Any]:
    """What the driver of the fork goes on from.

    Args:
        source: specification of the job that wrote the checkpoint.
        spec: of the fork.
        state: of the checkpoint.

    Raises:
        SpecError: the stages leave nothing to train, or differ in what was trained.
    """
    was = state["machine"]
    stages = (source.stages, source.cycles), (spec.stages, spec.cycles)
    try:
        machine = carry(was, *stages)
    except CannotCarry as error:
        raise SpecError([Problem("/stages", str(error))]) from error
    forked = {**state, "machine": machine}
    if was["finished"] and machine["stage"] == was["stage"]:
        forked["unevaluated"] = None  # The stage goes on: it is evaluated at its end.
    elif was["finished"]:
        stage = next(o.stage for o in spec.schedule if o.label == machine["stage"])
        if stage.data == "restart":
            forked["stream"] = {"epoch": 0, "position": 0}
    return forked


def guarded_steps(spec: JobSpec, state: Mapping[str, Any]) -> frozenset[int]:
    """Steps of the checkpoints that an accuracy guard of the fork may go back to."""
    machine = StageMachine(spec.stages, spec.cycles)
    machine.load_state_dict(state["machine"])
    return machine.rollback_steps - {machine.global_step}


def take_along(
    source: JobFolder,
    target: JobFolder,
    spec: JobSpec,
    step: int,
    state: Mapping[str, Any],
    records: Iterable[Mapping[str, Any]],
) -> None:
    """Fill the folder of a fork, in place of whatever an earlier try left there.

    Args:
        source: folder of the job that wrote the checkpoint.
        target: folder of the fork.
        spec: of the fork.
        step: of the checkpoint.
        state: what the driver of the fork goes on from.
        records: step records up to ``step``.

    Raises:
        DamagedCheckpoint: a file is missing, or is not the one that the manifest names.
        OSError: the disk is full, or cannot be written to.
    """
    shutil.rmtree(target.root, ignore_errors=True)
    target.root.mkdir(parents=True)
    try:
        CheckpointStore(target.checkpoints).adopt(
            CheckpointStore(source.checkpoints), step, dict(state)
        )
        _take_guarded(source, target, guarded_steps(spec, state))
        evaluations = []
        for path, record in made_until(source, step):
            evaluations.append({k: v for k, v in record.items() if k != "records"})
            target.evaluations.mkdir(exist_ok=True)
            for file in (path, path.with_suffix(".parquet")):
                if file.exists():
                    shutil.copy2(file, target.evaluations)
            if source.model(record["label"]).is_dir():
                link_tree(source.model(record["label"]), target.model(record["label"]))
        for path in samples_until(source, step):
            copy = target.root / path.relative_to(source.root)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy2(path, copy)
        if source.gold_check.exists():
            shutil.copy2(source.gold_check, target.gold_check)
        inheritance: Inheritance = {"records": list(records), "evaluations": evaluations}
        write_whole(target.inheritance, json.dumps(inheritance))
    except BaseException:
        shutil.rmtree(target.root, ignore_errors=True)
        raise


def _take_guarded(source: JobFolder, target: JobFolder, steps: Iterable[int]) -> None:
    """Only their weights count. One that is gone is no reason to refuse: the guard says so."""
    there = CheckpointStore(source.checkpoints)
    for step in steps:
        manifest = there.manifest(step)
        if manifest is not None:
            with suppress(DamagedCheckpoint):
                CheckpointStore(target.checkpoints).adopt(there, step, manifest.state)


def _comparable(spec: JobSpec) -> dict[str, Any]:
    found = spec.model_dump(mode="json")
    (found["evaluation"] or {}).pop("every_steps", None)
    return found


def _at(spec: Mapping[str, Any], place: str) -> Any:
    value: Any = spec
    for part in place.split("/"):
        value = value[part]
    return value
