"""The specification of a standalone evaluation: one model, some benchmarks, how responses are drawn
and graded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from algorithms.strict import Strict
from services.builtin import BENCHMARK_PREFIX, PREFIX
from services.spec.job import DataSpec, GeneratorSpec, ModelSpec, VerifierSpec
from services.spec.on_hub import FileOnHub
from services.spec.restarts import RestartSpec
from services.verification.policy import Policy

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_SMALL: Final = frozenset({"aime24", "amc83", "amc23"})
"""Benchmarks with so few questions that one response each says little."""
_CPU_CHUNK: Final = 64
_GPU_CHUNK_PER_SEQUENCE: Final = 4


class EvaluationGeneratorSpec(GeneratorSpec):
    """vLLM generation workers of an evaluation."""

    timeout_seconds: float = Field(default=7200, gt=0)
    """Longest wait for one chunk of responses."""


class BenchmarkSpec(FileOnHub):
    """Questions with known answers that the model is evaluated on."""

    path: str = ""
    """``benchmark:NAME``, ``builtin:NAME``, or a file: JSONL, a JSON list or parquet."""
    name: str = Field(default="", pattern=rf"^({_NAME})?$")
    """What results call it; empty takes the benchmark's name, or the file's without its ending."""
    question_field: str = "question"
    """For files only, as the other columns are: a benchmark that is named brings its own."""
    answer_field: str = "answer"
    """A string, a number, or a list of accepted answers."""
    id_field: str | None = Field(default=None, min_length=1)
    """Column of the ids; unset takes ``id`` where a row has one, else file and line."""
    tolerance_field: str | None = Field(default=None, min_length=1)
    """Column of how far a number may lie from the accepted answer; unset takes ``tolerance`` where
    a row has one."""
    allow_other_content: bool = False
    """Take a benchmark that is named with other questions than the pinned ones; results then say
    that it is not pinned."""
    samples: int | None = Field(default=None, ge=1)
    """Responses to each question; unset takes the evaluation's."""

    @property
    def data(self) -> DataSpec:
        """The same as a data set."""
        columns = ("question_field", "answer_field", "id_field", "tolerance_field")
        names = ("path", *columns, "allow_other_content")
        return DataSpec(**{name: getattr(self, name) for name in names})


class EvaluationJobSpec(Strict):
    """One evaluation: every question of every benchmark is answered several times and graded."""

    name: str = Field(default="evaluation", pattern=rf"^{_NAME}$")
    model: ModelSpec
    """Besides a folder and ``builtin:NAME``, the path may be ``job:JOB_ID/LABEL``: what a training
    job had after that stage. ``job:JOB_ID`` is the newest, ``job:JOB_ID/base`` what it started
    from."""
    benchmarks: tuple[BenchmarkSpec, ...] = Field(min_length=1)
    samples: int | None = Field(default=None, ge=1)
    """Responses to each question; unset draws 16 for aime24, amc83 and amc23 and 4 otherwise, and
    1 under the policy ``thinkless-parity``, as the paper did."""
    questions: int | None = Field(default=None, ge=1)
    """Questions of each benchmark: the head of a file, a fixed sample of one that is named; unset
    takes all."""
    temperature: float = Field(default=0.6, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=32768, gt=0)
    """Most tokens of a response; the rest of the model's context bounds it too."""
    prompt_suffix: str = DataSpec.model_fields["prompt_suffix"].default
    """Appended to every question before the chat template is applied."""
    policy: Policy = "eval"
    """How responses are graded: as a person would (``eval``), as training does (``reward``), or as
    Thinkless does (``thinkless-parity``: lenient, so accuracies are inflated; and lengths count
    prompt and template)."""
    chunk_responses: int | None = Field(default=None, ge=1)
    """Responses drawn at a time, which is what a kill can cost; unset takes 64 for each generator
    on the CPU, and four times ``generator.max_sequences`` for each on a GPU. Questions are never
    split. Part of what fixes the tokens: another size may change a response in its last bits."""
    generator: EvaluationGeneratorSpec = EvaluationGeneratorSpec()
    verifier: VerifierSpec = VerifierSpec()
    restarts: RestartSpec = RestartSpec()
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes every response, and the resampling behind the intervals."""

    @model_validator(mode="after")
    def _names_tell_apart(self) -> EvaluationJobSpec:
        names = [name_of(b) for b in self.benchmarks]
        for index, name in enumerate(names):
            if not re.fullmatch(_NAME, name):
                raise ValueError(
                    f"benchmarks.{index}.name is missing: {name!r} names a file of results badly; "
                    "give a name of letters, digits, dots and dashes"
                )
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(
                f"benchmarks: {twice[0]!r} stands twice; give one of them another name"
            )
        return self

    def resolved(self) -> EvaluationJobSpec:
        """Return the same evaluation with every value written out that was left open."""
        benchmarks = tuple(
            b.model_copy(update={"name": name_of(b), "samples": self._samples(b)})
            for b in self.benchmarks
        )
        return self.model_copy(update={"benchmarks": benchmarks, "chunk_responses": self.chunk})

    @property
    def chunk(self) -> int:
        """Responses drawn at a time."""
        generator = self.generator
        each = _GPU_CHUNK_PER_SEQUENCE * generator.max_sequences if generator.gpus else _CPU_CHUNK
        return self.chunk_responses or each * generator.workers

    def _samples(self, benchmark: BenchmarkSpec) -> int:
        chosen = benchmark.samples or self.samples
        if chosen is not None:
            return chosen
        if self.policy == "thinkless-parity":
            return 1
        return 16 if name_of(benchmark) in _SMALL else 4


def name_of(benchmark: BenchmarkSpec) -> str:
    """Return what results call a benchmark."""
    if benchmark.name:
        return benchmark.name
    for prefix in (BENCHMARK_PREFIX, PREFIX):
        if benchmark.path.startswith(prefix):
            return benchmark.path.removeprefix(prefix)
    return Path(benchmark.file or benchmark.path).stem
