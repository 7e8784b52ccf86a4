"""Reading questions: what is accepted, and what each bad line is told."""

from __future__ import annotations

import json

import pytest

from services.datasets import DataError, load_questions
from services.spec.job import DataSpec


def write(tmp_path, *lines, name="rows.jsonl"):
    file = tmp_path / name
    file.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return DataSpec(path=str(file))


def row(**fields):
    return json.dumps({"question": "1+1?", "answer": "2", **fields})


def failing(data, **options):
    with pytest.raises(DataError) as caught:
        load_questions(data, **options)
    assert caught.value.remedy in str(caught.value)
    assert data.path in str(caught.value)
    return caught.value


def test_answers_may_be_text_number_or_list(tmp_path):
    data = write(tmp_path, row(), row(answer=3), row(answer=0.5), row(answer=["4", 5]))
    assert [q.gold for q in load_questions(data)] == [("2",), ("3",), ("0.5",), ("4", "5")]


def test_ids_come_from_the_row_or_from_file_and_line(tmp_path):
    data = write(tmp_path, row(id="a"), "", row(), row(id=7))
    assert [q.id for q in load_questions(data)] == ["a", "rows-3", "7"]


def test_other_field_names(tmp_path):
    data = write(tmp_path, json.dumps({"problem": "p", "solution": "s"}))
    data = data.model_copy(update={"question_field": "problem", "answer_field": "solution"})
    assert load_questions(data)[0].gold == ("s",)


def test_limit_takes_the_head_and_does_not_read_on(tmp_path):
    data = write(tmp_path, row(id=1), row(id=2), "not json")
    assert [q.id for q in load_questions(data, limit=2)] == ["1", "2"]


def test_a_byte_order_mark_is_passed_over(tmp_path):
    data = write(tmp_path, b"\xef\xbb\xbf" + row().encode())
    assert len(load_questions(data)) == 1


def test_a_line_that_is_not_json_is_named(tmp_path):
    error = failing(write(tmp_path, row(), row(), '{"question": '))
    assert error.line == 3
    assert "not JSON" in error.problem


def test_nan_is_not_json(tmp_path):
    error = failing(write(tmp_path, '{"question": "q", "answer": NaN}'))
    assert (error.line, "NaN" in error.problem) == (1, True)


@pytest.mark.parametrize(("line", "kind"), [("[1]", "list"), ('"x"', "text"), ("3", "number")])
def test_a_line_that_is_no_object_is_named(tmp_path, line, kind):
    error = failing(write(tmp_path, row(), line))
    assert error.line == 2
    assert kind in error.problem


@pytest.mark.parametrize("field", ["question", "answer"])
@pytest.mark.parametrize("value", ["", "  ", None, True, {}, []])
def test_an_unusable_field_is_named_with_its_line(tmp_path, field, value):
    error = failing(write(tmp_path, row(), row(**{field: value})))
    assert (error.line, error.field) == (2, field)


@pytest.mark.parametrize("field", ["question", "answer"])
def test_a_missing_field_is_named_with_what_the_row_has(tmp_path, field):
    fields = {"question": "q", "answer": "a", "level": 1}
    del fields[field]
    error = failing(write(tmp_path, json.dumps(fields)))
    assert (error.line, error.field) == (1, field)
    assert "missing" in error.problem
    assert "'level'" in error.remedy
    assert f"{field}_field" in error.remedy


def test_an_empty_alternative_answer_is_refused(tmp_path):
    assert failing(write(tmp_path, row(answer=["2", ""]))).field == "answer"


@pytest.mark.parametrize("lines", [(), ("", "  ")])
def test_an_empty_data_set_is_refused(tmp_path, lines):
    assert "empty" in failing(write(tmp_path, *lines)).problem


def test_a_missing_file_is_refused(tmp_path):
    assert "no such file" in failing(DataSpec(path=str(tmp_path / "none.jsonl"))).problem


def test_a_folder_is_refused(tmp_path):
    failing(DataSpec(path=str(tmp_path)))


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    error = failing(write(tmp_path, row(), '{"question": "q\xe9"}'.encode("latin-1")))
    assert "UTF-8" in error.problem
    assert error.line == 2


def test_an_id_that_stands_twice_is_refused(tmp_path):
    error = failing(write(tmp_path, row(id="a"), row(id="b"), row(id="a")))
    assert (error.line, error.field) == (3, "id")
    assert "line 1" in error.problem


def test_an_unknown_builtin_lists_those_there_are():
    error = failing(DataSpec(path="builtin:tiny-trian"))
    assert "builtin:tiny-train" in error.remedy
