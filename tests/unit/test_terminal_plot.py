"""Curves on a terminal: where the dots are, and what a job's view shows of its steps."""

from __future__ import annotations

from rich.console import Console

from api.progress_view import ProgressView
from api.terminal_plot import plot
from services.presets.registry import resolve


def dots(values, columns, lines):
    """The plot as rows of dots, top to bottom."""
    masks = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    drawn = plot(values, ["x"] * len(values), columns=columns, lines=lines)
    rows = []
    for text in drawn:
        for left, right in masks:
            cells = [ord(c) - 0x2800 for c in text.plain]
            rows.append("".join("#" if c & m else "." for c in cells for m in (left, right)))
    return rows


def test_each_value_is_a_dot_on_its_level():
    assert dots([0, 1, 2, 3], 2, 1) == ["...#", "..#.", ".#..", "#..."]
    assert dots([3, 2, 1, 0], 2, 1) == ["#...", ".#..", "..#.", "...#"]


def test_dots_between_two_values_are_filled():
    assert dots([0, 3], 1, 1) == [".#", ".#", ".#", "#."]
    assert dots([3, 0, 3, 3], 2, 1) == ["#.##", ".##.", ".##.", ".#.."]


def test_one_value_and_none():
    assert dots([5], 1, 1) == ["..", "#.", "..", ".."]
    assert dots([5, 5], 1, 1) == ["..", "##", "..", ".."]
    assert dots([], 2, 2) == ["...."] * 8


def test_more_values_than_fit_are_means_of_stretches():
    assert dots([0, 0, 3, 3, 0, 0, 3, 3], 2, 1)[0] == ".#.#"
    wide = plot(list(range(1000)), ["a"] * 500 + ["b"] * 500, columns=10, lines=2)
    assert [len(text) for text in wide] == [10, 10]
    assert [str(span.style) for span in wide[0].spans] == ["a"] * 5 + ["b"] * 5


def record(step, stage, entropy):
    figures = {"response_length_mean": 100 - step, "accuracy": 0.5, "tokens_per_second": 10}
    return {"step": step, "stage": stage, "entropy": entropy, **figures}


def test_a_job_is_shown_with_the_course_of_its_figures():
    spec = resolve("tiny-cpu").model_dump(mode="json")
    job = {"id": "job-x", "name": "tiny-cpu", "state": "running", "attempt": 1, "spec": spec}
    view = ProgressView({**job, "created_at": 0.0, "progress": {"stage_index": 0}})
    empty = shown(view)
    assert "token entropy" in empty
    view.see_metrics(
        [record(n, "compression" if n < 6 else "exploration.2", n / 10) for n in range(1, 11)]
    )
    text = shown(view)
    assert "1.000" in text
    assert "first 0.100" in text
    assert "accuracy (%)" in text
    assert sum("\u2800" < c <= "\u28ff" for c in text) > sum(c > "\u2800" for c in empty)
    coloured = shown(view, color_system="standard", force_terminal=True)
    assert "\x1b[34m" in coloured, "the first stage is blue"
    assert "\x1b[33m" in coloured, "the second one yellow"


def shown(view, **options):
    console = Console(width=100, **options)
    with console.capture() as captured:
        console.print(view)
    return captured.get()
