"""Where models and data sets may lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from services.builtin import is_name
from services.model_source import JOB
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.spec.kind import Spec
from services.spec.problems import Problem, pointer


def location_problems(spec: Spec, roots: Sequence[Path] | None) -> list[Problem]:
    """Objections to paths that lead outside ``roots``, links followed. The answer is the same
    whether or not something is there.

    Args:
        spec: with absolute paths.
        roots: folders that may be read from; None is the whole machine, an empty list only what
            ships with Laconic.
    """
    problems = []
    for where, path in places(spec).items():
        if any(not c.isprintable() for c in path):
            problems.append(Problem(where, "the path has characters that cannot be printed"))
        elif not is_within(Path(path), roots):
            problems.append(
                Problem(
                    where,
                    "this place may not be read from; use a path below one of the folders that "
                    "the operator has named in LACONIC_ROOTS, or the name of something that ships "
                    "with Laconic",
                )
            )
    return problems


def places(spec: Spec) -> Mapping[str, str]:
    """The paths of a specification, by their pointers; names are none."""
    found: dict[str, str] = {"/model/path": spec.model.path}
    if isinstance(spec, JobSpec):
        found["/data/path"] = spec.data.path
        if spec.evaluation is not None:
            found["/evaluation/path"] = spec.evaluation.path
    if isinstance(spec, EvaluationJobSpec):
        for index, benchmark in enumerate(spec.benchmarks):
            found[pointer(["benchmarks", index, "path"])] = benchmark.path
    return {w: p for w, p in found.items() if not is_name(p) and not p.startswith(JOB)}


def is_within(path: Path, roots: Sequence[Path] | None) -> bool:
    """Whether a path, links followed, is one of the roots or lies below one."""
    if roots is None:
        return True
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        return False  # A loop of links, or a name no file can have.
    return any(real.is_relative_to(root.resolve()) for root in roots)
