"""Where models and data sets may lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.builtin import PREFIX
from services.spec.job import JobSpec
from services.spec.problems import Problem


def location_problems(spec: JobSpec, roots: Sequence[Path] | None) -> list[Problem]:
    """Objections to paths that lead outside ``roots``, links followed. The answer is the same
    whether or not something is there.

    Args:
        spec: with absolute paths.
        roots: folders that may be read from; None is the whole machine, an empty list only what
            ships with Laconic.
    """
    places = {"/model/path": spec.model.path, "/data/path": spec.data.path}
    if spec.evaluation is not None:
        places["/evaluation/path"] = spec.evaluation.path
    problems = []
    for pointer, path in places.items():
        if any(not c.isprintable() for c in path):
            problems.append(Problem(pointer, "the path has characters that cannot be printed"))
        elif not path.startswith(PREFIX) and not is_within(Path(path), roots):
            problems.append(
                Problem(
                    pointer,
                    "this place may not be read from; use a path below one of the folders that "
                    "the operator has named in LACONIC_ROOTS, or a builtin: name",
                )
            )
    return problems


def is_within(path: Path, roots: Sequence[Path] | None) -> bool:
    """Whether a path, links followed, is one of the roots or lies below one."""
    if roots is None:
        return True
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        return False  # A loop of links, or a name no file can have.
    return any(real.is_relative_to(root.resolve()) for root in roots)
