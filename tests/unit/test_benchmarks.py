"""Benchmarks: what identifies their content, and what a copy that does not fit is told."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import pytest

from services.benchmarks import hub
from services.benchmarks.content import content_hash, in_order
from services.benchmarks.load import VARIABLE, fix_data_folder, load_benchmark
from services.benchmarks.registry import BENCHMARKS
from services.data_error import DataError
from services.datasets import held_out, load_data
from services.presets.registry import resolve
from services.question import Question
from services.spec.job import DataSpec
from services.verification.tolerance import Tolerance

ROWS = [
    {"problem": "How many days has a week?", "answers": ["7"]},
    {"problem": "Two\nlines: 1 + 1?", "answers": ["2", "two"]},
    {"problem": "Half of one?", "answers": [0.5]},
]


def questions(rows=ROWS):
    return [
        Question(str(i), r["problem"], tuple(map(str, r["answers"]))) for i, r in enumerate(rows)
    ]


PIN = content_hash(questions())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A benchmark ``tiny`` of the rows above, in a folder that the environment names."""
    entry = replace(BENCHMARKS["math500"], name="tiny", rows=len(ROWS), sha256=PIN)
    monkeypatch.setitem(BENCHMARKS, "tiny", entry)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(hub, "cached", lambda copy: None)
    return tmp_path


def write(folder, rows=ROWS, name="tiny.jsonl"):
    file = folder / name
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


def failing(name="tiny", **options):
    with pytest.raises(DataError) as caught:
        load_benchmark(name, **options)
    return caught.value


# -- what identifies the content ----------------------------------------------------------------


def test_the_hash_is_fixed():
    """Written down where it was first computed: the pins of the registry hang on it."""
    made = content_hash(
        [Question("a", "1 + 1?", ("2",), Tolerance(0.5)), Question("b", "é", ("x",))]
    )
    assert made == "a6449c0d163f6db12661f6aebaf8f9c2a3eda5fd0b297d8fdf9510333cff2864"


def test_ids_order_and_ends_of_lines_do_not_count():
    other = [replace(q, id=q.id + "x", question=q.question.replace("\n", "\r\n") + "\n") for q in
             questions()]  # fmt: skip
    random.Random(0).shuffle(other)
    assert content_hash(other) == PIN
    assert [q.gold for q in in_order(other)] == [q.gold for q in in_order(questions())]


@pytest.mark.parametrize(
    "change",
    [
        {"question": "How many days has a month?"},
        {"gold": ("8",)},
        {"gold": ("7", "seven")},
        {"tolerance": Tolerance(absolute=0.1)},
        {"question": "How many  days has a week?"},
    ],
)
def test_what_is_asked_and_accepted_counts(change):
    first, *rest = questions()
    assert content_hash([replace(first, **change), *rest]) != PIN


def test_a_question_that_stands_twice_counts_twice():
    assert content_hash([*questions(), questions()[0]]) != PIN


# -- finding and holding to the pin -------------------------------------------------------------


def test_a_local_copy_with_the_pinned_content(folder):
    file = write(folder, ROWS[::-1])
    found = load_benchmark("tiny")
    assert (found.sha256, found.pinned, found.source) == (PIN, True, str(file))
    assert [q.question for q in found.questions] == [q.question for q in in_order(questions())]
    assert {q.id for q in found.questions} == {"tiny-1", "tiny-2", "tiny-3"}


def test_the_columns_of_the_copy_on_the_hub_will_do_too(folder):
    write(folder, [{"problem": r["problem"], "answer": r["answers"]} for r in ROWS])
    assert load_benchmark("tiny").pinned


def test_the_folder_given_goes_before_the_environment(folder, tmp_path):
    write(folder, ROWS[:1])
    (tmp_path / "other").mkdir()
    write(tmp_path / "other")
    assert load_benchmark("tiny", tmp_path / "other").pinned


def test_a_relative_folder_stays_the_same_for_processes_elsewhere(folder, monkeypatch):
    write(folder)
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv(VARIABLE, folder.name)
    fix_data_folder()
    monkeypatch.chdir("/")
    assert load_benchmark("tiny").pinned


def test_other_content_is_refused_with_both_hashes(folder):
    write(folder, [*ROWS[:2], {"problem": "Half of two?", "answers": [1]}])
    error = failing()
    assert PIN in error.problem
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", error.problem))) == 2
    assert "allow_other_content" in error.remedy
    assert "simpleRL-reason" in error.remedy


def test_other_content_that_is_accepted_is_marked(folder):
    write(folder, ROWS[:2])
    found = load_benchmark("tiny", allow_other_content=True)
    assert not found.pinned
    assert len(found.questions) == 2


def test_a_copy_with_too_few_rows_is_told_how_many(folder):
    write(folder, ROWS[:2])
    assert "2 questions, expected 3" in failing().problem


def test_without_a_pin_the_number_of_rows_is_held(folder, monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "tiny", replace(BENCHMARKS["tiny"], sha256=None))
    write(folder)
    assert not load_benchmark("tiny").pinned
    write(folder, ROWS[:2])
    assert "none is pinned" in failing().problem


@pytest.mark.parametrize(
    ("row", "missing"),
    [({"problem": "p", "solution": "s"}, "answers"), ({"text": "p", "answers": "s"}, "problem")],
)
def test_a_missing_column_is_named(folder, row, missing):
    write(folder, [row])
    error = failing()
    assert error.field == missing
    assert repr(missing) in error.problem
    assert repr(next(iter(row))) in error.remedy


def test_rows_of_a_benchmark_are_as_strict_as_those_of_any_file(folder):
    write(folder, [*ROWS, {"problem": "p", "answers": []}])
    assert (failing().line, failing().field) == (4, "answers")
    file = folder / "tiny.jsonl"
    file.write_bytes(b'{"problem": "\xe9", "answers": ["1"]}\n')
    assert "UTF-8" in failing().problem
    write(folder, [{"id": 1, **ROWS[0]}, {"id": 1, **ROWS[1]}])
    assert failing().field == "id"
    file.write_text("")
    assert "empty" in failing().problem


def test_an_unknown_name_suggests_the_right_one(folder):
    error = failing("math50")
    assert "benchmark:math500" in error.remedy
    assert "gsm8k" in error.remedy


def test_what_is_nowhere_says_where_to_put_what(folder, monkeypatch):
    def refuse(copy, seconds=0):
        raise hub.HubError("cannot be reached")

    monkeypatch.setattr(hub, "download", refuse)
    error = failing()
    assert str(folder / "tiny.jsonl") in error.remedy
    assert "HuggingFaceH4/MATH-500" in error.remedy
    assert "cannot be reached" in error.problem
    monkeypatch.delenv(VARIABLE)
    assert VARIABLE in failing().remedy


# -- the registry -------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", BENCHMARKS.values(), ids=lambda e: e.name)
def test_an_entry_is_complete(entry):
    assert re.fullmatch(r"[a-z0-9_]+", entry.name)
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", copy.repo) for copy in entry.hub)
    assert entry.hub
    assert entry.layouts[0].answer == "answers"


def test_the_variants_have_the_sizes_they_are_known_by():
    assert {e.name: e.rows for e in BENCHMARKS.values()} == {
        "aime24": 30, "amc83": 83, "amc23": 40, "math500": 500, "minerva_algebra": 1187,
        "minerva_math": 272, "olympiadbench": 675, "gsm8k": 1319, "deepscaler": 40_315,
    }  # fmt: skip


# -- in a specification -------------------------------------------------------------------------


def test_a_data_set_of_a_benchmark_has_its_record(folder):
    write(folder)
    data = load_data(DataSpec(path="benchmark:tiny", question_field="not asked for"), limit=2)
    assert [q.question for q in data.questions] == [q.question for q in in_order(questions())][:2]
    assert data.record == {
        "path": "benchmark:tiny", "source": str(folder / "tiny.jsonl"), "sha256": PIN,
        "questions": 2, "pinned": True, "revision": None,
    }  # fmt: skip


def test_other_content_is_accepted_for_each_set_apart():
    overrides = {"evaluation": {"path": "benchmark:tiny", "allow_other_content": True}}
    spec = resolve("tiny-cpu", overrides)
    assert not spec.data.allow_other_content
    data = held_out(spec)
    assert data is not None
    assert (data.path, data.allow_other_content) == ("benchmark:tiny", True)
    assert data.prompt_suffix == spec.data.prompt_suffix
