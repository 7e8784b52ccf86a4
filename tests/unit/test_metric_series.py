"""Curves and tables of step records."""

from __future__ import annotations

import csv

from services.metric_series import csv_lines, curves

RECORDS = [
    {"step": 1, "stage": "compression", "entropy": 0.5, "seconds": {"generate": 1.0}, "list": [1]},
    {"step": 2, "stage": "=cmd()", "entropy": None, "seconds": {"generate": -2.0}, "fast": True},
    {"step": 4, "stage": 'a,"b"', "entropy": 0.25, "late": 1},
]


def one(records, path, points):
    return curves(records, [path], points)[path]


def test_records_are_gone_through_once_and_none_is_held():
    alive = 0

    class Record(dict):
        def __init__(self, step):
            nonlocal alive
            alive += 1
            super().__init__(step=step, entropy=0.5, loss=1, padding="x" * 100)

        def __del__(self):
            nonlocal alive
            alive -= 1

    most = 0

    def records():
        nonlocal most
        for step in range(1, 2001):
            yield Record(step)
            most = max(most, alive)

    found = curves(records(), ["entropy", "loss"], 10)
    assert [len(c.step) for c in found.values()] == [10, 10]
    assert most <= 2


def test_a_curve_leaves_out_what_was_not_measured():
    found = one(RECORDS, "entropy", 10)
    assert (found.step, found.value) == ([1, 4], [0.5, 0.25])
    assert one(RECORDS, "seconds.generate", 10).value == [1.0, -2.0]
    assert one(RECORDS, "stage", 10).step == one(RECORDS, "fast", 10).step == []
    assert one(RECORDS, "nothing.at.all", 10).step == []


def test_a_curve_has_at_most_the_points_that_are_asked_for():
    many = [{"step": s, "entropy": s % 7} for s in range(1, 1001)]
    assert len(one(many, "entropy", 50).step) == 50


def test_every_record_has_every_column_and_no_text_is_a_formula():
    rows = list(csv.DictReader(csv_lines(lambda: iter(RECORDS))))
    assert [r["step"] for r in rows] == ["1", "2", "4"]
    assert list(rows[0]) == ["step", "stage", "entropy", "seconds.generate", "fast", "late"]
    assert rows[1]["stage"] == "'=cmd()"
    assert rows[1]["seconds.generate"] == "-2.0"
    assert rows[2]["stage"] == 'a,"b"'
    assert rows[1]["entropy"] == rows[0]["late"] == ""
