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
from services.spec.hub_parts import hub_parts, parts
from services.spec.kind import Spec
from services.spec.problems import Problem

_ELSEWHERE: Final = (
    "this place may not be read from; use a path below one of the folders that the operator has "
    "named in LACONIC_ROOTS, a model or job of your own tenant, or the name of something that "
    "ships with Laconic"
)


_NOT_NAMED: Final = (
    "this repository may not be read from; use one that the operator has named in LACONIC_HUB, by "
    "itself or by its organisation"
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
    hub: Sequence[str] | None = None
    """Organisations (``org``) and repositories (``org/name``) of the hub; ``*`` and None are all of
    it, an empty list none."""

    def covers_repo(self, repo: str) -> bool:
        """Whether a repository of the hub may be read from."""
        if self.hub is None or "*" in self.hub:
            return True
        return repo in self.hub or repo.partition("/")[0] in self.hub

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
    for where, part in hub_parts(spec).items():
        if part.on_hub is not None and not reach.covers_repo(part.on_hub.repo):
            problems.append(Problem(f"{where}/hub", _NOT_NAMED))
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
    return {
        f"{where}/path": part.path
        for where, part in parts(spec).items()
        if part.on_hub is None and not is_name(part.path) and not part.path.startswith(JOB)
    }
