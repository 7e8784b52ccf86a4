"""A finished evaluation, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.evaluation.response import Response
from services.evaluation.response_file import ResponseFileError, read_responses
from services.evaluation.result_folder import EVALUATION, SCHEMA, ResultFolder


class ResultError(ValueError):
    """An evaluation that cannot be used; the message names it and the remedy."""


@dataclass(frozen=True)
class Result:
    """One model's figures on some benchmarks."""

    name: str
    """What tables call it."""
    folder: Path
    content: Mapping[str, Any]
    """Of ``evaluation.json``."""

    @property
    def benchmarks(self) -> Mapping[str, Mapping[str, Any]]:
        """Figures by benchmark."""
        found: Mapping[str, Mapping[str, Any]] = self.content["benchmarks"]
        return found

    @property
    def parameters(self) -> int:
        """Size of the model."""
        return int(self.content["model"]["parameters"])

    @property
    def policy(self) -> str:
        """How responses were graded."""
        return str(self.content["policy"])

    def responses(self, benchmark: str) -> list[Response]:
        """Every response to a benchmark.

        Raises:
            ResultError: the file is missing or damaged.
        """
        path = ResultFolder(self.folder).responses(benchmark)
        try:
            return read_responses(path)[0]
        except ResponseFileError as error:
            raise ResultError(f"{error}; or fetch the folder again with laconic eval") from error


def read_result(text: str) -> Result:
    """Read ``[NAME=]FOLDER``; the model's own name by default.

    Raises:
        ResultError: the folder holds no finished evaluation.
    """
    name, named, place = text.partition("=")
    folder = Path(place if named else text).expanduser()
    file = folder / EVALUATION
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"layout {content['schema']}, expected {SCHEMA}")
        found = Result(name if named else str(content["model"]["name"]), folder, content)
        _ = found.parameters, found.policy, found.benchmarks
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ResultError(
            f"{file} cannot be used ({type(error).__name__}: {error}); give a folder that laconic "
            "eval wrote, or NAME=FOLDER"
        ) from error
    if not content.get("complete"):
        raise ResultError(
            f"the evaluation in {folder} is not complete; finish it with the same laconic eval "
            "command"
        )
    return found


def refuse_unlike(results: list[Result], benchmark: str) -> None:
    """Hold against each other what must be equal for figures to stand side by side.

    Raises:
        ResultError: other questions, or another way of grading and counting.
    """
    first, *others = [r for r in results if benchmark in r.benchmarks]
    for other in others:
        for what, mine, theirs in (
            ("questions", _asked(first, benchmark), _asked(other, benchmark)),
            ("policy", first.policy, other.policy),
        ):
            if mine != theirs:
                raise ResultError(
                    f"{first.name} and {other.name} cannot be compared on {benchmark}: {what} "
                    f"differ ({mine} and {theirs}); evaluate both in the same way"
                )


def _asked(result: Result, benchmark: str) -> str:
    found = result.benchmarks[benchmark]
    return f"{found['questions']} with content hash {str(found['sha256'])[:12]}"
