"""What a table needs of each run, kept beside the table, so that it can be made again, or gone on
with elsewhere, when the jobs themselves are gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from services.ablation.arms import fingerprint
from services.ablation.table import Report
from services.atomic_write import write_whole
from services.spec.job import JobSpec
from services.spec.problems import SpecError, parse_spec

_FIELDS: Final = ("job", "machine", "evaluations", "wall_seconds")
_STEP_FIELDS: Final = (
    "step",
    "stage",
    "response_length_mean",
    "accuracy",
    "entropy_untempered",
    "generated_tokens",
    "routed",
)


class KeptRuns:
    """A folder with one file a run, found by what the run does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = dict(_read(file) for file in sorted(folder.glob("*.json")))

    def load(self, spec: JobSpec) -> Report | None:
        """Return what was kept of the run of this specification, if it was made.

        A run of an earlier version counts if it did what the specification says now: options that
        it did not know stand at their defaults.
        """
        return self._known.get(fingerprint(spec))

    def keep(self, spec: JobSpec, report: Report) -> Report:
        """Write the run's figures with its specification; return them as :meth:`load` would."""
        kept: dict[str, Any] = {key: report[key] for key in _FIELDS}
        kept["steps"] = [{key: step[key] for key in _STEP_FIELDS} for step in report["steps"]]
        kept["spec"] = spec.model_dump(mode="json")
        write_whole(self._folder / f"{spec.name}-{fingerprint(spec)}.json", _lines(kept))
        self._known[fingerprint(spec)] = kept
        return kept


def _read(file: Path) -> tuple[str, Report]:
    """Return what a file keeps, under what its run would be called today."""
    kept: dict[str, Any] = json.loads(file.read_text())
    try:
        return fingerprint(parse_spec(kept["spec"])), kept
    except SpecError:  # of a version with other settings: no specification of today is its own
        return file.stem, kept


def _lines(kept: dict[str, Any]) -> str:
    """Return JSON with a line for each field and each step, for readable differences."""
    steps = ",\n".join(f"  {json.dumps(step)}" for step in kept["steps"])
    fields = [f' "{k}": {json.dumps(v)}' for k, v in kept.items() if k != "steps"]
    return "{\n" + ",\n".join([*fields, f' "steps": [\n{steps}\n ]']) + "\n}\n"
