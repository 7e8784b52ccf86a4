"""``laconic eval``, ``table`` and ``compare-evals``, as processes of their own.

The control plane is served for real; what a driver would write is written by the test."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from services.evaluation.response_file import read_responses
from services.evaluation.result_folder import ResultFolder
from services.stores.listing import JobFilter
from tests.integration.waiting import wait_until
from tests.unit.evaluated import response
from tests.unit.test_evaluation_reports import answers, saved

WAIT_SECONDS = 120


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process) -> tuple[int, str]:
    output, _ = process.communicate(timeout=WAIT_SECONDS)
    return process.returncode, output


@pytest.fixture
def arguments(plane, model_folder, tmp_path):
    questions = tmp_path / "sums.jsonl"
    questions.write_text('{"question": "1+1?", "answer": 2}\n{"question": "2+2?", "answer": "4"}\n')
    return [
        "eval",
        *("--model", model_folder, "--benchmark", questions, "--url", plane.url),
        *("--samples", 1, "--set", "generator.threads=1", "--out", tmp_path / "out"),
    ]


def submitted(plane, count=1) -> str:
    wait_until("submission", lambda: len(plane.launcher.submitted) == count, WAIT_SECONDS)
    (evaluation, *_), _ = plane.store.list_jobs(1, where=JobFilter(kind="evaluation"))
    return evaluation.id


def drive(plane, evaluation, attempt=1, *, fails=False) -> None:
    """Do what the driver of an attempt does, as far as the outside can see it."""
    store = plane.store
    for state in ("starting", "running"):
        store.set_state(evaluation, state, attempt=attempt)
    if fails:
        store.set_state(evaluation, "failed", attempt=attempt, cause="the disk is full")
        return
    store.heartbeat(
        evaluation,
        attempt,
        {
            "benchmark": "sums",
            "questions_done": 1,
            "questions_total": 2,
            "accuracy": 1.0,
            "tokens_per_second": 1234.0,
            "eta_seconds": 65.0,
            "phase": "evaluate",
        },
    )
    folder = plane.context.settings.home.job(evaluation).result
    made = saved(folder, 15, {"sums": [response("a"), response("b", verdict="incorrect")]})
    assert made == folder
    store.set_state(evaluation, "succeeded", attempt=attempt)


def test_an_evaluation_from_submission_to_its_folder(plane, arguments, tmp_path):
    process = start(*arguments)
    evaluation = submitted(plane)
    spec = plane.store.get_job(evaluation).evaluation
    assert (spec.benchmarks[0].samples, spec.generator.threads) == (1, 1)
    assert spec.name == "model-sums"
    drive(plane, evaluation)
    code, output = finished(process)
    assert code == 0, output
    assert "sums  " in output
    assert "50.0 (9.5 to 90.5)" in output
    out = ResultFolder(tmp_path / "out")
    assert json.loads((out.root / "evaluation.json").read_text())["complete"] is True
    assert [r.question_id for r in read_responses(out.responses("sums"))[0]] == ["a", "b"]


def test_progress_is_shown(plane, arguments):
    process = start(*arguments)
    evaluation = submitted(plane)
    store = plane.store
    for state in ("starting", "running"):
        store.set_state(evaluation, state, attempt=1)
    shown = {
        "benchmark": "sums",
        "questions_done": 1,
        "questions_total": 2,
        "accuracy": 1.0,
        "tokens_per_second": 1234.0,
        "eta_seconds": 65.0,
    }
    store.heartbeat(evaluation, 1, shown)
    found = ""
    while "time left" not in found:
        found = process.stdout.readline()
        assert found, "ended without showing progress"
    assert found.strip() == (
        "sums, 1 of 2 questions, accuracy so far 100.0 %, 1,234 tokens/s, time left 1 min 05 s"
    )
    store.set_state(evaluation, "failed", attempt=1, cause="x")
    assert finished(process)[0] == 1


def test_the_same_command_goes_on_and_another_does_not(plane, arguments, tmp_path):
    process = start(*arguments)
    evaluation = submitted(plane)
    drive(plane, evaluation, fails=True)
    code, output = finished(process)
    assert code == 1
    assert "the disk is full" in output
    assert "the same command goes on" in output

    code, output = finished(start(*arguments, "--seed", 1))
    assert code == 2
    assert f"holds {evaluation}, an evaluation with another seed" in " ".join(output.split())

    process = start(*arguments)
    assert submitted(plane, 2) == evaluation
    assert plane.launcher.submitted[-1] == f"{evaluation}-2"
    drive(plane, evaluation, attempt=2)
    assert finished(process)[0] == 0
    # A third time there is nothing left to do but to fetch what came out.
    (tmp_path / "out" / "sums.parquet").unlink()
    assert finished(start(*arguments))[0] == 0
    assert (tmp_path / "out" / "sums.parquet").exists()
    assert len(plane.launcher.submitted) == 2


def test_a_benchmark_that_is_none_is_told_the_names(plane, model_folder):
    code, output = finished(
        start("eval", "--model", model_folder, "--benchmark", "gsm8", "--url", plane.url)
    )
    assert code == 2
    assert "did you mean benchmark:gsm8k" in " ".join(output.split())


def test_status_and_cancel_take_evaluations(plane, arguments):
    process = start(*arguments)
    evaluation = submitted(plane)
    code, output = finished(start("status", "--url", plane.url))
    assert code == 0
    assert evaluation in output
    assert finished(start("cancel", evaluation, "--url", plane.url))[0] == 0
    code, output = finished(process)
    assert code == 1
    assert "cancelled" in output


def test_table_and_comparison_of_folders(tmp_path):
    base = saved(tmp_path / "base", 15, {"one": answers(5, 100)})
    short = saved(tmp_path / "short", 15, {"one": answers(6, 50)})
    code, output = finished(start("table", base, f"ours={short}", "--out", tmp_path / "t.md"))
    assert code == 0, output
    assert "| ours | 60.0 (31.3 to 83.2) |" in output
    assert (tmp_path / "t.md").read_text() == output
    code, output = finished(start("compare-evals", base, short, "--out", tmp_path / "pair"))
    assert code == 0, output
    assert "# short against base" in output
    code, output = finished(start("table", base, tmp_path / "nowhere"))
    assert code == 2
    assert "give a folder that laconic eval wrote" in " ".join(output.split())
