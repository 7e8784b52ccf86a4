"""The folder of an evaluation: finished chunks while it runs, then a file of responses for each
benchmark, and ``evaluation.json`` with everything that is needed to quote the figures.

::

    plan.json                    what must not change while the evaluation is under way
    chunks/BENCHMARK/00000.parquet
    BENCHMARK.parquet            in place of the chunks, once they are complete
    evaluation.json              figures of the benchmarks that are complete
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from services.atomic_write import write_whole
from services.evaluation.response import Response
from services.evaluation.response_file import read_responses, write_responses

EVALUATION: Final = "evaluation.json"
SCHEMA: Final = 1
"""Layout of ``evaluation.json``."""


class EvaluationChanged(ValueError):
    """Something is no longer what the finished chunks were drawn with: the model, a benchmark, the
    engine."""


class ResultFolder:
    """What one evaluation leaves on disk. Every file in it is whole or not there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, fixed: Mapping[str, Any]) -> None:
        """Note what the responses depend on, or hold it against what an earlier attempt noted.

        Raises:
            EvaluationChanged: something differs; the message names it.
        """
        path = self.root / "plan.json"
        if not path.exists():
            write_whole(path, json.dumps(fixed, indent=1))
            return
        before = json.loads(path.read_text())
        changed = [name for name, value in fixed.items() if before.get(name) != value]
        if changed:
            raise EvaluationChanged(
                f"{', '.join(changed)} changed since this evaluation began, so what it has would "
                "not go together with what is missing; put it back, or submit a new evaluation"
            )

    def keep_chunk(
        self, benchmark: str, index: int, responses: Sequence[Response], seconds: float
    ) -> None:
        """Write a finished chunk; on disk when this returns."""
        write_responses(self._chunk(benchmark, index), responses, {"seconds": seconds})

    def chunk(self, benchmark: str, index: int) -> tuple[list[Response], float] | None:
        """Return a finished chunk and the seconds it took; None where it has yet to be drawn.

        Raises:
            ResponseFileError: the file is damaged.
        """
        path = self._chunk(benchmark, index)
        if not path.exists():
            return None
        responses, facts = read_responses(path)
        return responses, float(facts["seconds"])

    def keep(self, benchmark: str, responses: Sequence[Response], seconds: float) -> None:
        """Write all responses of a benchmark; the chunks go."""
        write_responses(self.responses(benchmark), responses, {"seconds": seconds})
        shutil.rmtree(self._chunks(benchmark), ignore_errors=True)
        with contextlib.suppress(OSError):  # those of other benchmarks, or it was never made
            (self.root / "chunks").rmdir()

    def kept(self, benchmark: str) -> tuple[list[Response], float] | None:
        """Return all responses of a benchmark that is complete, and the seconds they took."""
        path = self.responses(benchmark)
        if not path.exists():
            return None
        responses, facts = read_responses(path)
        return responses, float(facts["seconds"])

    def write(self, content: Mapping[str, Any]) -> None:
        """Write ``evaluation.json``."""
        write_whole(self.root / EVALUATION, json.dumps({"schema": SCHEMA, **content}, indent=1))

    def responses(self, benchmark: str) -> Path:
        """The file with all responses of a benchmark."""
        return self.root / f"{benchmark}.parquet"

    def _chunks(self, benchmark: str) -> Path:
        return self.root / "chunks" / benchmark

    def _chunk(self, benchmark: str, index: int) -> Path:
        return self._chunks(benchmark) / f"{index:05d}.parquet"
