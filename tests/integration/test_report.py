"""Reports written from a real job store and real evaluation files."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

from algorithms.metrics import wilson_interval
from services.home import Home
from services.reports.collect import collect
from services.reports.write import ReportError, report_content, write_report
from services.spec.job import JobSpec
from services.stores.protocol import JobNotFound
from services.stores.sqlite import SqliteJobStore

STEPS = {"compression": 30, "exploration": 20}
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def job_spec() -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "tiny",
            "model": {"path": "builtin:tiny-reasoner"},
            "data": {"path": "builtin:tiny-train"},
            "evaluation": {"path": "builtin:tiny-heldout", "max_tokens": 600},
            "stages": [
                {
                    "name": "compression",
                    "steps": STEPS["compression"],
                    "objective": {"type": "compress", "length_clip": 300},
                    "sampling": {"temperature": 0.8, "max_tokens": 300},
                },
                {
                    "name": "exploration",
                    "steps": STEPS["exploration"],
                    "objective": {"type": "explore", "length_threshold": 300},
                    "sampling": {"temperature": 1.0, "max_tokens": 600},
                },
            ],
        }
    )


def step_record(step: int, rng: random.Random) -> dict[str, Any]:
    compressing = step <= STEPS["compression"]
    progress = step / STEPS["compression"] if compressing else 1.0
    entropy = 0.30 - 0.18 * progress if compressing else 0.24
    length = 90 + 160 * math.exp(-3 * progress) + rng.uniform(-6, 6)
    return {
        "step": step,
        "stage": "compression" if compressing else "exploration",
        "entropy": entropy + rng.uniform(-0.01, 0.01),
        "entropy_untempered": entropy * 1.1,
        "response_length_mean": length,
        "response_length_median": 0.9 * length,
        "accuracy": 0.8 + 0.1 * rng.random(),
        "seconds": {"generate": 3.0, "verify": 0.5, "train": 2.0, "sync": 0.25, "total": 6.0},
        "samples": {
            "generated": 128 * step,
            "trained": 100 * step,
            "excluded": {"truncated": 20 * step, "incorrect": 8 * step},
            "in_flight": 0,
        },
        "peak_rss_bytes": 2**30 + step,
    }


def answer(tokens: int, correct: bool, connectors: int) -> dict[str, Any]:
    rechecks = "\n".join(["Wait, let me check <again>.\n3+4=7"] * connectors)
    return {
        "text": f"3+4=7\n{rechecks}\n</think>\n\\boxed{{7}}",
        "tokens": tokens,
        "verdict": "correct" if correct else "incorrect",
        "correct": correct,
        "reason": "equal" if correct else "different",
        "finish_reason": "stop",
    }


def save_evaluation(
    folder: Path, label: str, step: int, correct: int, tokens: int, connectors: int
) -> None:
    """200 questions, of which the first ``correct`` are right, in ``tokens`` +- 50 % tokens."""
    lengths = [round(tokens * (0.5 + i / 199)) for i in range(200)]
    record = {
        "label": label,
        "step": step,
        "policy_version": step,
        "questions": 200,
        "samples": 1,
        "accuracy": correct / 200,
        "accuracy_ci95": list(wilson_interval(correct, 200)),
        "length_mean": sum(lengths) / 200,
        "length_median": sorted(lengths)[100],
        "unverified": 0,
        "truncated_ratio": 0.0,
        "seconds": 7.5,
        "records": [
            {
                "id": f"heldout-{i}",
                "question": f"Start with {i}, add 4. What is it?",
                "gold": ["7"],
                "responses": [answer(lengths[i], i < correct, connectors)],
            }
            for i in range(200)
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{label}.json").write_text(json.dumps(record))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.resolve(tmp_path / "home").create()


@pytest.fixture
def job(home: Home) -> str:
    """A job whose driver has just started running it."""
    store = SqliteJobStore(home.database)
    record = store.create_job(job_spec(), preset="tiny-cpu")
    store.set_state(record.id, "starting", attempt=1)
    store.set_state(record.id, "running", attempt=1)
    return record.id


def train(home: Home, job: str, steps: int = sum(STEPS.values())) -> None:
    store, rng = SqliteJobStore(home.database), random.Random(0)
    for step in range(1, steps + 1):
        store.append_metrics(job, 1, step, step_record(step, rng))


def read(page: Path) -> tuple[str, dict[str, Any]]:
    return page.read_text(), json.loads((page.parent / "report.json").read_text())


def content(home: Home, job: str) -> dict[str, Any]:
    """What report.json would hold, without drawing anything."""
    return report_content(collect(SqliteJobStore(home.database), home.job(job), job))


def outside_references(html: str) -> list[str]:
    """Whatever a browser would fetch: anything linked that is not data or within the page."""
    links = re.findall(r"""(?:src|href|action|data|poster)\s*=\s*["']?([^"'\s>]+)""", html)
    links += re.findall(r"url\(\s*['\"]?([^'\")]+)", html) + re.findall(r"@import\s+(\S+)", html)
    return [link for link in links if not link.startswith(("#", "data:"))]


def test_a_finished_run(home: Home, job: str, tmp_path: Path) -> None:
    folder = home.job(job).evaluations
    save_evaluation(folder, "base", 0, correct=168, tokens=300, connectors=9)
    train(home, job)
    save_evaluation(folder, "compression", 30, correct=160, tokens=90, connectors=1)
    save_evaluation(folder, "exploration", 50, correct=176, tokens=75, connectors=0)
    SqliteJobStore(home.database).set_state(job, "succeeded", attempt=1)

    html, report = read(write_report(home.root, job, tmp_path / "out"))

    figures = report["evaluations"]
    assert list(figures) == ["base", "compression", "exploration"]
    base, final = figures["base"], figures["exploration"]
    ratio = final["length_mean"] / base["length_mean"]
    assert final["length_ratio"] == pytest.approx(ratio)
    assert ratio == pytest.approx(0.25, abs=0.005)
    assert final["l_acc"] == pytest.approx(0.88 * math.sqrt(1 - ratio))
    assert final["accuracy_ci95"] == pytest.approx(wilson_interval(176, 200))
    assert final["against_base"]["gained"] == 8
    assert [(s["first_step"], s["last_step"]) for s in report["stages"]] == [(1, 30), (31, 50)]
    assert len(report["steps"]) == 50
    assert report["peak_memory_bytes"] == 2**30 + 50
    assert report["samples"]["generated"] == 128 * 50
    assert report["spec"] == job_spec().model_dump(mode="json")
    assert report["job"]["state"] == "succeeded"
    assert report["headline"] == "Length fell to 25 % of the base, accuracy 84.0 % → 88.0 %."
    assert {f["claim"]: f["held"] for f in report["findings"]} == dict.fromkeys(
        (f["claim"] for f in report["findings"]), True
    )
    assert report["headline"] in html
    assert html.count('class="example"') == 3
    assert html.count("<mark>Wait</mark>") == 3 * 9


def test_wall_time_adds_up(home: Home, job: str) -> None:
    save_evaluation(home.job(job).evaluations, "base", 0, 168, 300, 9)
    train(home, job)
    report = content(home, job)
    seconds = report["wall_seconds"]
    assert seconds["generate"] == pytest.approx(150)
    assert seconds["evaluate"] == pytest.approx(7.5)
    assert sum(v for k, v in seconds.items() if k != "total") == pytest.approx(seconds["total"])


def test_an_evaluation_beside_a_step_counts_for_what_the_step_waited(home: Home, job: str) -> None:
    store = SqliteJobStore(home.database)
    for step in (2, 4):
        data = {"label": "compression.midway", "step": step, "seconds": 7.5}
        store.append_event(job, "evaluation", "", data=data, attempt=1)
    beside = step_record(5, random.Random(0))
    beside["seconds"]["evaluate"] = 0.5
    train(home, job)
    before = content(home, job)["wall_seconds"]["evaluate"]
    store.append_metrics(job, 1, 5, beside)
    after = content(home, job)["wall_seconds"]["evaluate"]
    assert (before, after) == (15.0, pytest.approx(8.0))


def test_the_page_stands_alone_and_escapes_what_models_say(
    home: Home, job: str, tmp_path: Path
) -> None:
    save_evaluation(home.job(job).evaluations, "base", 0, 168, 300, 9)
    train(home, job)
    save_evaluation(home.job(job).evaluations, "compression", 30, 160, 90, 1)
    html, _ = read(write_report(home.root, job, tmp_path / "out"))
    assert outside_references(html) == []
    assert html.count("<svg") == 5  # Three of the report, two of the evaluations' analysis.
    assert "check &lt;again&gt;" in html
    assert "<again>" not in html


def test_plots_are_written_as_png(home: Home, job: str, tmp_path: Path) -> None:
    save_evaluation(home.job(job).evaluations, "base", 0, 168, 300, 9)
    train(home, job)
    write_report(home.root, job, tmp_path / "out")
    plots = sorted((tmp_path / "out").glob("*.png"))
    assert [p.stem for p in plots] == ["headline", "summary", "training", "wall_time"]
    assert all(p.read_bytes().startswith(PNG_MAGIC) for p in plots)


def test_a_missed_target_is_said(home: Home, job: str) -> None:
    folder = home.job(job).evaluations
    save_evaluation(folder, "base", 0, correct=168, tokens=300, connectors=9)
    train(home, job)
    save_evaluation(folder, "exploration", 50, correct=120, tokens=200, connectors=5)
    report = content(home, job)
    assert "length target of 30 % was missed" in report["headline"]
    assert "Accuracy was lost" in report["headline"]
    assert [f["held"] for f in report["findings"][:2]] == [False, False]


def test_a_lower_accuracy_within_the_intervals_is_said_too(home: Home, job: str) -> None:
    folder = home.job(job).evaluations
    save_evaluation(folder, "base", 0, correct=168, tokens=300, connectors=9)
    save_evaluation(folder, "exploration", 50, correct=164, tokens=75, connectors=0)
    report = content(home, job)
    assert "Accuracy is lower, but the 95 % intervals overlap." in report["headline"]
    assert report["findings"][1]["held"] is True


def test_samples_that_do_not_balance_are_reported(home: Home, job: str) -> None:
    train(home, job, steps=3)
    record = step_record(4, random.Random(0))
    record["samples"]["trained"] -= 1
    SqliteJobStore(home.database).append_metrics(job, 1, 4, record)
    report = content(home, job)
    accounting = report["findings"][-1]
    assert accounting["held"] is False
    assert "[4]" in accounting["evidence"]


def test_a_job_that_has_not_been_evaluated(home: Home, job: str, tmp_path: Path) -> None:
    html, report = read(write_report(home.root, job, tmp_path / "out"))
    assert report["evaluations"] == {}
    assert report["headline"].startswith("No evaluation has been made yet")
    assert report["samples"] is None
    assert outside_references(html) == []


def test_a_job_with_only_its_base_evaluated(home: Home, job: str, tmp_path: Path) -> None:
    save_evaluation(home.job(job).evaluations, "base", 0, 168, 300, 9)
    html, report = read(write_report(home.root, job, tmp_path / "out"))
    assert report["headline"].startswith("Only the base model has been evaluated so far")
    assert all(f["held"] is None for f in report["findings"])
    assert "Before and after" not in html


def test_a_job_between_its_stages(home: Home, job: str) -> None:
    folder = home.job(job).evaluations
    save_evaluation(folder, "base", 0, 168, 300, 9)
    train(home, job, steps=30)
    save_evaluation(folder, "compression", 30, 170, 80, 1)
    report = content(home, job)
    assert report["headline"].endswith("The stage exploration has not been evaluated yet.")
    assert report["stages"][1]["first_step"] is None


def test_the_machine_of_the_run_is_shown_when_the_driver_recorded_it(
    home: Home, job: str, tmp_path: Path
) -> None:
    recorded = {
        "cpu": "Model T",
        "cores": 2,
        "memory_bytes": 2**34,
        "system": "Linux x86_64",
        "python": "3.11.9",
        "libraries": {"torch": "2.13.0"},
    }
    SqliteJobStore(home.database).append_event(job, "machine", "Model T", data=recorded)
    html, report = read(write_report(home.root, job, tmp_path / "out"))
    assert report["machine"] == {**recorded, "recorded_by": "driver"}
    assert "Model T, 2 cores, 16.0 GiB" in html


def test_the_data_sets_are_shown_as_the_driver_recorded_them(
    home: Home, job: str, tmp_path: Path
) -> None:
    sets = {
        "train": {"path": "builtin:tiny-train", "questions": 7000, "sha256": "ab" * 32}
        | {"pinned": None},
        "evaluation": {"path": "benchmark:math500", "questions": 256, "sha256": "cd" * 32}
        | {"pinned": False},
    }
    store = SqliteJobStore(home.database)
    store.append_event(job, "data", "training on ...", data=sets)
    store.append_event(job, "data_overlap", "", data={"questions": 256, "overlapping": 3})
    html, report = read(write_report(home.root, job, tmp_path / "out"))
    assert report["data"] == {**sets, "overlap": {"questions": 256, "overlapping": 3}}
    assert "256 questions of benchmark:math500, content cdcdcdcdcdcd (not the pinned" in html
    assert "3 of the 256 held-out questions stand in the training data" in html


def test_many_steps_are_all_there(home: Home, job: str) -> None:
    train(home, job, steps=1203)
    report = content(home, job)
    assert [s["step"] for s in report["steps"]] == list(range(1, 1204))


def test_a_broken_evaluation_file_is_named(home: Home, job: str, tmp_path: Path) -> None:
    save_evaluation(home.job(job).evaluations, "base", 0, 168, 300, 9)
    path = home.job(job).evaluation("base")
    path.write_text(path.read_text()[:100])
    with pytest.raises(ReportError, match=re.escape(str(path))):
        write_report(home.root, job, tmp_path / "out")


def test_an_unknown_job_leaves_nothing_behind(home: Home, job: str, tmp_path: Path) -> None:
    with pytest.raises(JobNotFound, match="job-nowhere"):
        write_report(home.root, "job-nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_home_without_a_store_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="LACONIC_HOME"):
        write_report(tmp_path / "typo", "job-1", tmp_path / "out")
    assert not (tmp_path / "typo").exists()
