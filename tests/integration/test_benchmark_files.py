"""Real benchmark files against their pins, and in the form they have on the hub."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.benchmarks.load import load_benchmark
from services.benchmarks.registry import BENCHMARKS
from services.datasets import load_questions
from services.spec.job import DataSpec
from services.verification.tolerance import Tolerance
from tests.integration.shared_data import benchmark_file

PINNED = [e.name for e in BENCHMARKS.values() if e.sha256]


@pytest.mark.parametrize("name", PINNED)
def test_a_file_has_the_pinned_content(name):
    found = load_benchmark(name, benchmark_file(name).parent)
    assert found.pinned
    assert len(found.questions) == BENCHMARKS[name].rows


def _rows(name):
    return [json.loads(line) for line in benchmark_file(name).read_text("utf-8").splitlines()]


def _as_on_the_hub(name, row):
    """A row with the columns that the copy on the hub has."""
    return {
        "aime24": lambda: {"problem": row["problem"], "answer": row["answers"][0], "year": "2024"},
        "amc83": lambda: {"problem": row["problem"], "answer": float(row["answers"][0])},
        "amc23": lambda: {"question": row["problem"], "answer": row["answers"][0] + ".0"},
        "math500": lambda: {
            "problem": row["problem"], "answer": row["answers"][0], "unique_id": row["id"]
        },
        "minerva_algebra": lambda: {"problem": row["problem"], "solution": row["solution"]},
        "gsm8k": lambda: {"question": row["problem"], "answer": row["solution"]},
        "olympiadbench": lambda: {
            "id": int(row["id"].split("-")[1]), "question": row["problem"],
            "final_answer": row["answers"], "unit": row["meta"]["unit"],
            "error": row["meta"]["error"],
        },
    }[name]()  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["aime24", "amc83", "amc23", "math500", "minerva_algebra", "gsm8k", "olympiadbench"],
)
def test_a_table_with_the_columns_of_the_hub_has_the_same_content(name, tmp_path):
    """Floats, solutions with ``####`` and boxes, several answers, units and tolerances."""
    rows = [_as_on_the_hub(name, row) for row in reversed(_rows(name))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    found = load_benchmark(name, tmp_path)
    assert found.pinned
    assert found.source.endswith(".parquet")


def test_units_and_tolerances_are_read(tmp_path):
    found = load_benchmark("olympiadbench", benchmark_file("olympiadbench").parent)
    by_id = {q.id: q for q in found.questions}
    assert by_id["olympiad-2592"].gold == ("4.2\\%",)
    assert by_id["olympiad-2592"].tolerance == Tolerance(absolute=0.1)
    assert by_id["olympiad-2334"].gold == ("\\frac{41}{12}\\text{ km}",)
    assert sum(q.tolerance is not None for q in found.questions) == 1


def test_several_accepted_answers_are_kept_apart():
    found = load_benchmark("minerva_math", benchmark_file("minerva_math").parent)
    by_id = {q.id: q for q in found.questions}
    assert by_id["minerva-20"].gold == ("6630.65", "6630")
    assert by_id["minerva-66"].gold == ("2",), "an answer that stands twice counts once"


def test_training_files_are_read_with_a_column_map():
    data = DataSpec(
        path=str(benchmark_file("train_deepscaler_2000")),
        question_field="problem",
        answer_field="answers",
        id_field="meta.dsr_index",
    )
    questions = load_questions(data)
    assert len(questions) == 2000
    assert all(q.id.isdigit() for q in questions)
