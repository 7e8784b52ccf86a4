"""Bodies that are refused before they are parsed."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control.json_guard import MAX_DEPTH, objection

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(-9, 9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.booleans())
def test_json_passes(value, escaped):
    assert objection(json.dumps(value, ensure_ascii=escaped).encode("utf-8", "replace")) is None


def test_depth_counts_brackets_outside_strings_only():
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert objection(deep) is None
    assert "deeper" in str(objection(b"[" + deep + b"]"))
    assert "deeper" in str(objection(b'{"a":' * 100_000))
    assert objection(json.dumps("[" * 500 + '\\"' + "{" * 500).encode()) is None
    assert objection(b"[]," * 1000) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "NaN"),
        (b"[1" + b"0" * 400 + b"]", "digits"),
        (b'"\xff"', "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'"\\uD83D x \\uDE00"', "surrogate"),
    ],
)
def test_what_python_would_take_and_json_does_not(body, expected):
    assert expected in str(objection(body))


@pytest.mark.parametrize("body", [b'"NaN"', b'"\\ud83d\\ude00"', b'"\\\\ud800"', b'"Infinity ["'])
def test_what_only_looks_wrong(body):
    assert objection(body) is None


@pytest.mark.parametrize("body", [b'"' * 2**20, b'\\"' * 2**19, b'"\\' * 2**19, b"[]" * 2**19])
def test_a_mebibyte_of_spite_is_read_in_linear_time(body):
    began = time.process_time()
    objection(body)
    assert time.process_time() - began < 3
