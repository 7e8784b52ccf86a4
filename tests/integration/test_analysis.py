"""An analysis written from a real job store, evaluation files and token samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from algorithms.metrics import wilson_interval
from api.cli import app
from api.overrides import BadInput
from services.analysis.token_samples import TokenSamples, write_samples
from services.analysis.write import write_analysis
from services.home import Home
from services.reports.collect import ReportError
from services.reports.write import write_report
from services.spec.job import JobSpec
from services.stores.protocol import JobNotFound
from services.stores.sqlite import SqliteJobStore

BEFORE = "2+2=4\nWait, let me check again.\n2+2=4\n</think>\n\\boxed{4}"
AFTER = "add the numbers\n</think>\n2+2=4, so \\boxed{4}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.resolve(tmp_path / "home").create()


@pytest.fixture
def job(home: Home) -> str:
    spec = JobSpec.model_validate(
        {
            "model": {"path": "builtin:tiny-reasoner"},
            "data": {"path": "builtin:tiny-train"},
            "evaluation": {"path": "builtin:tiny-heldout", "max_tokens": 600},
            "stages": [
                {
                    "name": "compression",
                    "steps": 2,
                    "objective": {"type": "compress", "length_clip": 300},
                    "sampling": {"temperature": 0.8, "max_tokens": 300},
                }
            ],
        }
    )
    return SqliteJobStore(home.database).create_job(spec, preset=None).id


def evaluate(home: Home, job: str, label: str, text: str, tokens: int) -> None:
    response: dict[str, Any] = {
        "text": text,
        "tokens": tokens,
        "verdict": "correct",
        "correct": True,
        "reason": "equal",
        "finish_reason": "stop",
    }
    record = {
        "label": label,
        "step": 0 if label == "base" else 2,
        "policy_version": 0,
        "questions": 3,
        "samples": 1,
        "accuracy": 1.0,
        "accuracy_ci95": list(wilson_interval(3, 3)),
        "length_mean": tokens,
        "length_median": tokens,
        "unverified": 0,
        "truncated_ratio": 0.0,
        "seconds": 1.0,
        "records": [
            {"id": f"q{i}", "question": "2+2?", "gold": ["4"], "responses": [response]}
            for i in range(3)
        ],
    }
    folder = home.job(job).evaluations
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{label}.json").write_text(json.dumps(record))


def sample(home: Home, job: str) -> None:
    rng, count = np.random.default_rng(0), 200
    half = rng.uniform(0.5, 1, count)  # Two tokens are possible at each position.
    entropy = -(half * np.log(half) + (1 - half) * np.log1p(-half))
    columns = {
        "token_id": rng.integers(100, 140, count),
        "entropy": entropy,
        "entropy_untempered": entropy,
        "logprob": np.log(half),
        "prob_square_sum": half**2 + (1 - half) ** 2,
        "hidden_norm": np.ones(count),
        "advantage": np.ones(count),
        "weight": np.ones(count),
        "correct": np.ones(count),
        "part": np.zeros(count),
        "in_prompt": np.zeros(count, bool),
    }
    write_samples(
        home.job(job).root, TokenSamples(step=1, stage="compression", temperature=0.8, **columns)
    )


def test_everything_a_job_left(home: Home, job: str, tmp_path: Path) -> None:
    evaluate(home, job, "base", BEFORE, 40)
    evaluate(home, job, "compression", AFTER, 20)
    sample(home, job)
    written = write_analysis(home.root, job, tmp_path / "out")
    assert [p.stem for p in written.figures] == [
        "entropy_gradient",
        "connector_rate",
        "transitions",
        "answer_share",
    ]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written.figures)
    data = json.loads(written.data.read_text())
    assert [s["answer_share"] for s in data["answer_share"]] == [0.0, 1.0]
    assert data["transitions"][0]["counts"]["preserved"] == 3
    drawn = data["tokens"]["steps"][0]["forms"]["expected"]
    # With two tokens sum p^2 and entropy order alike: the caveat, as a number.
    assert drawn["spearman"] == pytest.approx(1.0)
    assert set(data["missing"]) == {"objective_counts", "entropy", "gradient_conflict"}

    html = write_report(home.root, job, tmp_path / "report").read_text()
    for title in ("Token entropy and gradient magnitude", "What became of each answer"):
        assert f"<h2>{title}</h2>" in html
    assert '<span class="divide">&lt;/think&gt;</span>' in html
    assert "100 % of them after &lt;/think&gt;" in html


def test_a_job_without_token_samples_says_what_to_set(home: Home, job: str, tmp_path: Path) -> None:
    evaluate(home, job, "base", BEFORE, 40)
    written = write_analysis(home.root, job, tmp_path / "out")
    assert [p.stem for p in written.figures] == ["answer_share"]
    assert "analysis.every_steps" in written.missing["tokens"]


def test_a_job_that_left_nothing(home: Home, job: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"nothing to analyse.*analysis\.every_steps"):
        write_analysis(home.root, job, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_job_that_is_not_there(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no job store"):
        write_analysis(tmp_path / "elsewhere", "job-1", tmp_path / "out")
    SqliteJobStore(home.database)
    with pytest.raises(JobNotFound):
        write_analysis(home.root, "job-nowhere", tmp_path / "out")


def test_the_command_writes_what_it_can_and_then_names_the_setting(
    home: Home, job: str, tmp_path: Path
) -> None:
    evaluate(home, job, "base", BEFORE, 40)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["analyze", job, "--home", str(home.root), "--out", str(out)])
    assert isinstance(result.exception, BadInput)
    assert "analysis.every_steps" in str(result.exception)
    assert sorted(p.name for p in out.iterdir()) == ["analysis.json", "answer_share.png"]
