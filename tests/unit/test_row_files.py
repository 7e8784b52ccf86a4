"""Rows of JSON lines, JSON lists and parquet files, and what each bad one is told."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.data_error import DataError
from services.row_files import read_rows

ROWS = [{"question": "1+1?", "answer": "2"}, {"question": "½ of 4?", "answer": "2"}]


def failing(file):
    with pytest.raises(DataError) as caught:
        list(read_rows(file))
    assert str(file) in str(caught.value)
    assert caught.value.remedy in str(caught.value)
    return caught.value


def lines(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    return file


def listed(tmp_path):
    file = tmp_path / "rows.json"
    file.write_text("\ufeff" + json.dumps(ROWS, indent=1, ensure_ascii=False), encoding="utf-8")
    return file


def table(tmp_path):
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=1)
    return file


@pytest.mark.parametrize("make", [lines, listed, table])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, make):
    rows = list(read_rows(make(tmp_path)))
    assert [r.values for r in rows] == ROWS
    assert [r.number for r in rows] == [1, 2]


def test_a_json_file_with_one_object_a_line_is_lines(tmp_path):
    assert [r.kind for r in read_rows(lines(tmp_path).rename(tmp_path / "rows.json"))] == [
        "line"
    ] * 2


def test_lists_and_objects_in_cells_of_a_table(tmp_path):
    rows = [{"answer": ["1", "2"], "extra": {"index": 7}}, {"answer": [], "extra": None}]
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    assert [r.values for r in read_rows(file)] == rows


def test_text_in_a_table_that_is_not_utf8_has_its_row(tmp_path):
    column = pa.array([b"a", b"\xe9"], pa.binary()).view(pa.string())
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"question": column}), file)
    error = failing(file)
    assert (error.row, error.line) == (2, None)
    assert "UTF-8" in error.problem


def test_text_in_a_list_that_is_not_utf8_has_its_line(tmp_path):
    file = tmp_path / "rows.json"
    file.write_bytes(b'[{"question":\n"q\xe9"}]')
    assert failing(file).line == 2


def test_an_entry_of_a_list_that_is_no_object_has_its_row(tmp_path):
    file = tmp_path / "rows.json"
    file.write_text('[{"question": "q"}, 3]')
    error = failing(file)
    assert error.row == 2
    assert "number" in error.problem


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", b'[{"question": "q"}'), ("a.parquet", b"PAR1 and no more")]
)
def test_a_file_that_was_cut_short(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    assert "not" in failing(file).problem


@pytest.mark.parametrize("name", ["none.jsonl", "none.json", "none.parquet"])
def test_a_missing_file(tmp_path, name):
    assert "no such file" in failing(tmp_path / name).problem


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_a_folder_is_no_file(tmp_path, name):
    (tmp_path / name).mkdir()
    failing(tmp_path / name)


def test_rows_are_read_as_they_are_asked_for(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "q"}\nnot json\n')
    rows = read_rows(file)
    assert next(rows).values == {"question": "q"}
    with pytest.raises(DataError):
        next(rows)
