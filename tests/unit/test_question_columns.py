"""Columns by name, nested ones too; ids, accepted answers and tolerances of rows."""

from __future__ import annotations

import json

import pytest

from services.datasets import DataError, load_questions
from services.spec.job import DataSpec
from services.verification.tolerance import Tolerance


@pytest.fixture
def data(tmp_path):
    def write(*rows, **fields):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(r) + "\n" for r in rows))
        return DataSpec(path=str(file), **fields)

    return write


def row(**fields):
    return {"question": "1+1?", "answer": "2", **fields}


def failing(data):
    with pytest.raises(DataError) as caught:
        load_questions(data)
    return caught.value


def test_a_column_inside_another(data):
    made = data(
        {"q": {"text": "1+1?"}, "reward": {"gold": ["2", "two"]}, "meta": {"at": {"n": 7}}},
        question_field="q.text",
        answer_field="reward.gold",
        id_field="meta.at.n",
    )
    (question,) = load_questions(made)
    assert (question.question, question.gold, question.id) == ("1+1?", ("2", "two"), "7")


def test_a_column_with_a_dot_in_its_name_goes_first(data):
    made = data({"a.b": "q", "a": {"b": "other"}, "answer": 1}, question_field="a.b")
    assert load_questions(made)[0].question == "q"


def test_answers_that_stand_twice_count_once(data):
    assert load_questions(data(row(answer=["2", "2", 2])))[0].gold == ("2",)


def test_a_whole_number_written_as_a_float_is_that_number(data):
    assert load_questions(data(row(answer=142.0)))[0].gold == ("142",)


def test_the_column_of_ids_is_asked_for_only_when_named(data):
    assert [q.id for q in load_questions(data(row(), row(id="b")))] == ["rows-1", "b"]
    error = failing(data(row(key="a"), row(), id_field="key"))
    assert (error.line, error.field) == (2, "key")
    assert "id_field" in error.remedy
    assert failing(data(row(key="a"), row(key=None), id_field="key")).field == "key"


def test_an_id_that_stands_twice_in_a_named_column(data):
    error = failing(data(row(key="a"), row(key="a"), id_field="key"))
    assert (error.line, error.field) == (2, "key")
    assert "line 1" in error.problem


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        (0.1, Tolerance(absolute=0.1)),
        ("1e-1", Tolerance(absolute=0.1)),
        ({"relative": 0.01}, Tolerance(relative=0.01)),
        ({"absolute": 1, "relative": None}, Tolerance(absolute=1)),
    ],
)
def test_tolerances(data, value, expected):
    assert load_questions(data(row(tolerance=value)))[0].tolerance == expected


def test_a_named_column_of_tolerances_must_be_there(data):
    assert load_questions(data(row(error=2), tolerance_field="error"))[0].tolerance
    error = failing(data(row(error=2), row(), tolerance_field="error"))
    assert (error.line, error.field) == (2, "error")
    assert "tolerance_field" in error.remedy


@pytest.mark.parametrize(
    "value",
    [-1, "wide", True, [1], {"width": 1}, {}, {"relative": 1}, {"absolute": "x"}, "nan", "inf"],
)
def test_a_tolerance_that_is_none(data, value):
    error = failing(data(row(), row(tolerance=value)))
    assert (error.line, error.field) == (2, "tolerance")
