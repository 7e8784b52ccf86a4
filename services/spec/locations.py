"""Where models and data sets may lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.builtin import is_name
from services.home import Home
from services.model_source import JOB
from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec
from services.spec.kind import Spec
from services.spec.problems import Problem, pointer

_ELSEWHERE: Final = (
    "this place may not be read from; use a path below one of the folders that the operator has "
    "named in LACONIC_ROOTS, a model or job of your own tenant, or the name of something that "
    "ships with Laconic"
)


@dataclass(frozen=True)
class Reach:
    """What the jobs of one caller may read, links followed."""

    roots: Sequence[Path] | None
    """Folders that may be read from; None is the whole machine, an empty list only what ships with
    Laconic."""
    home: Home
    """Of the control plane. Nothing below it may be read but what is the caller's own, also where a
    root holds it: it has the models, jobs and secrets of every tenant."""
    tenant: str
    sees_job: Callable[[str], bool]
    """Whether a job of this id exists for the caller."""

    def covers(self, path: Path) -> bool:
        """Whether a path may be read from; the same whether or not something is there."""
        try:
            real, home = path.resolve(), self.home.root.resolve()
        except (OSError, RuntimeError, ValueError):
            return False  # A loop of links, or a name no file can have.
        if real.is_relative_to(home):
            return self._is_own(real.relative_to(home).parts)
        return self.roots is None or any(real.is_relative_to(r.resolve()) for r in self.roots)

    def _is_own(self, parts: tuple[str, ...]) -> bool:
        """Whether a place in the home folder is a named model of the tenant, or in a folder of one
        of its jobs."""
        match parts:
            case ("promoted", tenant, _, *_):
                return tenant == self.tenant
            case ("jobs", job_id, _, *_):
                return self.sees_job(job_id)
        return False


def location_problems(spec: Spec, reach: Reach) -> list[Problem]:
    """Objections to paths that lead where the caller may not read. The answer is the same whether
    or not something is there.

    Args:
        spec: with absolute paths, but for those that begin with ``~``.
        reach: of the caller.
    """
    problems = []
    for where, path in places(spec).items():
        if any(not c.isprintable() for c in path):
            problems.append(Problem(where, "the path has characters that cannot be printed"))
        elif path.startswith("~"):
            problems.append(
                Problem(
                    where,
                    "the path begins with ~, whose home it is is not known here; write "
                    "the whole path",
                )
            )
        elif not reach.covers(Path(path)) or _link_out(Path(path), reach):
            problems.append(Problem(where, _ELSEWHERE))
    return problems


def _link_out(folder: Path, reach: Reach) -> bool:
    """Whether a model folder has a file that is a link to where the caller may not read."""
    try:
        with os.scandir(folder) as entries:
            return any(e.is_symlink() and not reach.covers(Path(e.path)) for e in entries)
    except OSError:
        return False  # No folder: there is nothing in it.


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
