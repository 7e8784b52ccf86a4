"""The benchmarks by name, as data: which variant, where it comes from, what identifies it.

``sha256`` is the content hash (services/benchmarks/content.py) of the copy named in ``origin``.
Where a copy on the hub says the same in other words, its hash is another one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final, Literal

from services.answer_forms import AnswerForm
from services.builtin import BENCHMARK_PREFIX
from services.question_columns import Columns


@dataclass(frozen=True)
class HubCopy:
    """Where a benchmark lies on the Hugging Face hub."""

    repo: str
    files: str
    """Pattern that one file of the repository matches, as in the shell; ``*`` passes ``/``."""
    columns: Columns
    revision: str | None = None
    """Commit to take. None takes the newest one: what a revision holds could not be looked at
    where these entries were written, so the content hash is the pin, and the commit that was
    taken is recorded."""


@dataclass(frozen=True)
class BenchmarkEntry:
    """One benchmark or training set."""

    name: str
    title: str
    variant: str
    """Which of the sets that go by this title."""
    rows: int
    sha256: str | None
    """None where no copy was at hand: any content of ``rows`` questions is taken, as unpinned."""
    origin: str
    """Repository and path of the copy that was hashed."""
    licence: str
    hub: tuple[HubCopy, ...]
    parity: str
    """What the paper reports on it."""
    form: AnswerForm = "plain"
    """Of the column ``answers`` of a local file."""
    tolerance: str | None = None
    unit: str | None = None
    purpose: Literal["evaluation", "training"] = "evaluation"

    @property
    def layouts(self) -> tuple[Columns, ...]:
        """Columns that a file of this benchmark may have, in the order they are tried."""
        own = Columns("problem", "answers", None, self.tolerance, self.unit, self.form)
        return (own, *(copy.columns for copy in self.hub))


_RLLM: Final = "agentica-project/rllm: rllm/data/test/math/"

_ENTRIES: Final = (
    BenchmarkEntry(
        name="aime24",
        title="AIME 2024",
        variant="AIME I and II of 2024",
        rows=30,
        sha256="baa709a07ebd20141520b30eab13335e93c971de619a86789c0975b5bbf3e2e2",
        origin=_RLLM + "aime.json",
        licence="repository MIT, problems (c) MAA",
        hub=(
            HubCopy(
                "HuggingFaceH4/aime_2024",
                "*train*.parquet",
                Columns("problem", "answer", form="whole"),
            ),
        ),
        parity="AIME24, one sample a problem (every score is k/30)",
        form="whole",
    ),
    BenchmarkEntry(
        name="amc83",
        title="AMC",
        variant="AMC 12 of 2022 and 2023, whole-number answers",
        rows=83,
        sha256="9f52a5da5288ca75955ec9260cf7ffd807ddbcd2ffdefa3c05b33346d40883d2",
        origin=_RLLM + "amc.json",
        licence="repository MIT, problems (c) MAA",
        hub=(
            HubCopy(
                "AI-MO/aimo-validation-amc",
                "*train*.parquet",
                Columns("problem", "answer", form="whole"),
            ),
        ),
        parity="AMC (scores of trained models are k/83)",
        form="whole",
    ),
    BenchmarkEntry(
        name="amc23",
        title="AMC 2023",
        variant="AMC 12 of 2023, whole-number answers",
        rows=40,
        sha256="377058f3284a19448fc8a87b5819480e7ffe17b8c33c85a36e1c83fb150a11e1",
        origin="QwenLM/Qwen2.5-Math: evaluation/data/amc23/test.jsonl",
        licence="file MIT, problems (c) MAA",
        hub=(
            HubCopy("math-ai/amc23", "*test*.parquet", Columns("question", "answer", form="whole")),
        ),
        parity="only the rows of Qwen2.5-Math-7B, copied from elsewhere (k/40)",
        form="whole",
    ),
    BenchmarkEntry(
        name="math500",
        title="MATH-500",
        variant="500 of the 5000 test problems of MATH",
        rows=500,
        sha256="3b8f6b6828980846463d2b7280396ce9726b5780a44e8d288792adce17e9bb09",
        origin="hkust-nlp/simpleRL-reason: examples/simplelr_math_eval/data/math500/test.jsonl",
        licence="MIT",
        hub=(
            HubCopy(
                "HuggingFaceH4/MATH-500",
                "test.jsonl",
                Columns("problem", "answer", id="unique_id"),
            ),
        ),
        parity="MATH500",
    ),
    BenchmarkEntry(
        name="minerva_algebra",
        title="Minerva Algebra",
        variant="the algebra test problems of MATH",
        rows=1187,
        sha256="7004bd522582c37956a75679f27630bf2473f1c17794ef44021478e025cc9b4b",
        origin="MChatzakis/ChatMGL: data/MATH/test/algebra.json",
        licence="MIT",
        hub=(
            HubCopy(
                "EleutherAI/hendrycks_math",
                "algebra/test*.parquet",
                Columns("problem", "solution", form="boxed"),
            ),
        ),
        parity="Minerva",
    ),
    BenchmarkEntry(
        name="minerva_math",
        title="Minerva Math",
        variant="272 problems of undergraduate science courses",
        rows=272,
        sha256="ef3ffd24bce5550aa8d411b6de05b38596842940ca9d1341edfa76f2764db41b",
        origin=_RLLM + "minerva.json",
        licence="repository MIT, problems CC BY-NC-SA",
        hub=(HubCopy("math-ai/minervamath", "*test*", Columns("question", "answer")),),
        parity="not reported",
    ),
    BenchmarkEntry(
        name="olympiadbench",
        title="OlympiadBench",
        variant="English, open-ended, text only, mathematics competitions",
        rows=675,
        sha256="98c6409f866f07cf93e29a2d70154fda6017f28328bc1a4ba4425d5c9bd37e27",
        origin=_RLLM + "olympiad_bench.json",
        licence="repository MIT, OlympiadBench MIT and Apache-2.0",
        hub=(
            HubCopy(
                "Hothan/OlympiadBench",
                "*/OE_TO_maths_en_COMP.parquet",
                Columns("question", "final_answer", id="id", tolerance="error", unit="unit"),
            ),
        ),
        parity="OlympiadBench (its scores fit 674, the number of the copy on the hub)",
        tolerance="meta.error",
        unit="meta.unit",
    ),
    BenchmarkEntry(
        name="gsm8k",
        title="GSM8K",
        variant="test split",
        rows=1319,
        sha256="6c4ea605aaaec0d2a972e41e782126a06882b985710f7f286f78f6a6847c623c",
        origin="openai/grade-school-math: grade_school_math/data/test.jsonl",
        licence="MIT",
        hub=(
            HubCopy(
                "openai/gsm8k",
                "main/test*.parquet",
                Columns("question", "answer", form="hashes"),
            ),
        ),
        parity="GSM8K",
        form="whole",
    ),
    BenchmarkEntry(
        name="deepscaler",
        title="DeepScaleR-Preview",
        variant="the whole training set",
        rows=40_315,
        sha256=None,
        origin="agentica-org/DeepScaleR-Preview-Dataset: deepscaler.json",
        licence="MIT",
        hub=(
            HubCopy(
                "agentica-org/DeepScaleR-Preview-Dataset",
                "deepscaler.json",
                Columns("problem", "answer"),
            ),
        ),
        parity="training data",
        purpose="training",
    ),
)

BENCHMARKS: Final[dict[str, BenchmarkEntry]] = {entry.name: entry for entry in _ENTRIES}


class UnknownBenchmark(ValueError):
    """No benchmark has this name."""

    def __init__(self, name: str) -> None:
        close = difflib.get_close_matches(name, BENCHMARKS, n=1)
        hint = f"did you mean {BENCHMARK_PREFIX}{close[0]}? " if close else ""
        super().__init__(f"no benchmark {name!r}; {hint}there are {', '.join(BENCHMARKS)}")


def entry_of(name: str) -> BenchmarkEntry:
    """Return the entry of a name.

    Raises:
        UnknownBenchmark: there is none.
    """
    if name not in BENCHMARKS:
        raise UnknownBenchmark(name)
    return BENCHMARKS[name]
