"""Accepted answers against themselves in the real pool, within a time limit."""

from __future__ import annotations

import time

import pytest

from services.benchmarks.load import load_benchmark
from services.gold_check import check_with_pool
from services.presets.registry import resolve
from services.question import Question
from services.spec.job import VerifierSpec
from services.spec.validation import find_problems
from tests.integration.shared_data import benchmark_file

SPEC = VerifierSpec(workers=2, timeout_seconds=10)


def questions(*golds):
    return [Question(f"q{i}", "?", (g,)) for i, g in enumerate(golds)]


def test_algebra_that_is_fine_and_answers_that_are_not():
    seen = []
    asked = questions("x + 1", "\\sinh x", "7", "x +", "y^2 - 4")
    found = check_with_pool(asked, SPEC, 120, lambda done, total: seen.append((done, total)))
    assert [b.question_id for b in found.bad] == ["q3"]
    assert found.undecided == 0
    assert seen[-1] == (3, 3)


def test_out_of_time_is_undecided_and_never_bad():
    asked = questions(*(f"x^{n} + {n} y" for n in range(2, 200)))
    started = time.monotonic()
    found = check_with_pool(asked, SPEC, 0.01)
    assert time.monotonic() - started < 100
    assert found.bad == ()
    assert found.undecided > 100


def test_the_progress_may_end_it():
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_with_pool(questions("x + 1"), SPEC, 120, stop)


def test_a_submission_is_refused_with_the_bad_answers(tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text('{"question": "q", "answer": "x + 1"}\n{"question": "q", "answer": "x +"}\n')
    spec = resolve("tiny-cpu", {"data": {"path": str(file)}})
    (problem,) = find_problems(spec, None)
    assert problem.pointer == "/data/path"
    assert "'train-2' ('x +': string_only)" in problem.detail
    assert "bad_golds: drop" in problem.detail
    spec = resolve("tiny-cpu", {"data": {"path": str(file), "bad_golds": "drop"}})
    assert find_problems(spec, None) == []


@pytest.mark.parametrize("name", ["math500", "gsm8k"])
def test_accepted_answers_of_benchmarks(name):
    found = load_benchmark(name, benchmark_file(name).parent)
    check = check_with_pool(found.questions, SPEC, 200)
    assert check.bad == ()
