"""Table 1 of any evaluations, and two of them side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.figures import figures
from services.evaluation.response import Response
from services.evaluation.result_folder import ResultFolder
from services.evaluation_reports.comparison import write_pairs
from services.evaluation_reports.paired import pair
from services.evaluation_reports.result import ResultError, read_result
from services.evaluation_reports.table import evaluation_rows, table_page
from tests.unit.evaluated import response


def answers(correct: int, length: int, samples: int = 1, questions: int = 10) -> list[Response]:
    return [
        response(
            f"q{q}",
            s,
            response_tokens=length + q,
            thinkless_tokens=length + q + 5,
            verdict="correct" if q < correct else "incorrect",
        )
        for q in range(questions)
        for s in range(samples)
    ]


def saved(
    folder: Path, parameters: int, benchmarks: dict[str, list[Response]], **changes: Any
) -> Path:
    result = ResultFolder(folder)
    found = {}
    for name, responses in benchmarks.items():
        result.keep(name, responses, 1.0)
        found[name] = {"sha256": "a" * 64, **figures(responses, 0, "response_tokens")}
    content: dict[str, Any] = {
        "complete": True,
        "model": {"name": folder.name, "parameters": parameters, "sha256": "b" * 64},
        "policy": "eval",
        "sampling": {"temperature": 0.6, "top_p": 0.95, "max_tokens": 100},
        "seed": 0,
        "benchmarks": found,
    }
    result.write({**content, **changes})
    return folder


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Two sizes, each with its base and what was made of it; the large ones are longer."""
    return [
        saved(tmp_path / "small", 15, {"one": answers(5, 100), "two": answers(8, 200)}),
        saved(tmp_path / "small-short", 15, {"one": answers(6, 50), "two": answers(8, 40)}),
        saved(tmp_path / "large", 70, {"one": answers(8, 300)}),
        saved(tmp_path / "large-short", 70, {"one": answers(9, 60), "two": answers(9, 30)}),
    ]


def test_l_acc_takes_the_base_of_the_same_size_on_the_same_benchmark(models: list[Path]) -> None:
    rows = evaluation_rows([read_result(str(m)) for m in models], [])
    found = {(r.method, r.benchmark): r for r in rows}
    assert found["small", "one"].l_acc is None
    assert found["large", "one"].l_acc is None
    assert found["small-short", "one"].base_length == pytest.approx(104.5)
    assert found["small-short", "two"].base_length == pytest.approx(204.5)
    assert found["large-short", "one"].base_length == pytest.approx(304.5)
    assert found["large-short", "one"].l_acc == pytest.approx(90 * math.sqrt(1 - 64.5 / 304.5))
    # The base of its size was not asked this benchmark: there is nothing to measure against.
    assert found["large-short", "two"].l_acc is None


def test_bases_are_named_where_they_do_not_come_first(models: list[Path]) -> None:
    results = [read_result(str(m)) for m in reversed(models)]
    found = {(r.method, r.benchmark): r for r in evaluation_rows(results, ["large", "small"])}
    assert found["small-short", "one"].base_length == pytest.approx(104.5)
    assert found["small", "one"].base_length is None
    with pytest.raises(ResultError, match="no result is called 'tiny'"):
        evaluation_rows(results, ["tiny"])
    with pytest.raises(ResultError, match="of one size"):
        evaluation_rows(results, ["small", "small-short"])


def test_the_table_has_the_papers_form_and_intervals(models: list[Path]) -> None:
    page = table_page([read_result(str(models[0])), read_result(f"ours={models[1]}")])
    lines = page.splitlines()
    assert lines[0] == "| | one ACC | LEN | L-Acc | two ACC | LEN | L-Acc |"
    accuracy, length, discounted = lines[3].split(" | ")[1:4]
    assert lines[3].startswith("| ours | 60.0 (31.3 to 83.2) |")
    assert accuracy == "60.0 (31.3 to 83.2)"
    assert length.startswith("54 (5")
    assert discounted == f"{60 * math.sqrt(1 - 54.5 / 104.5):.1f}"
    assert "ours: 15 parameters" in page
    assert "inflated" not in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"policy": "reward"}, "policy differ"),
        ({"other": answers(5, 100, questions=9)}, "questions differ"),
    ],
)
def test_what_was_made_in_another_way_is_not_put_beside(
    models: list[Path], tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    asked = changes.pop("other", answers(6, 50))
    other = saved(tmp_path / "other", 15, {"one": asked}, **changes)
    with pytest.raises(ResultError, match=told):
        table_page([read_result(str(models[0])), read_result(str(other))])
    with pytest.raises(ResultError, match=told):
        write_pairs(read_result(str(models[0])), read_result(str(other)), tmp_path / "out")


def test_results_that_are_none_are_refused(models: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="give a folder that laconic eval wrote"):
        read_result(str(tmp_path / "nowhere"))
    part = saved(tmp_path / "part", 15, {"one": answers(5, 100)}, complete=False)
    with pytest.raises(ResultError, match="not complete"):
        read_result(str(part))
    newer = saved(tmp_path / "newer", 15, {"one": answers(5, 100)})
    file = newer / "evaluation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    with pytest.raises(ResultError, match="layout 99"):
        read_result(str(newer))
    small = read_result(str(models[0]))
    with pytest.raises(ResultError, match="stands twice"):
        table_page([small, small])


def test_two_models_on_the_same_questions() -> None:
    before, after = answers(5, 100), answers(5, 60)
    # One answer is lost, two are gained, and one verdict is missing.
    after[0] = response("q0", response_tokens=60, verdict="incorrect")
    after[6] = response("q6", response_tokens=60)
    after[7] = response("q7", response_tokens=60)
    after[9] = response("q9", response_tokens=60, verdict="timeout")
    found = pair("one", before, after, names=("A", "B"), length="response_tokens", seed=0)
    assert found.questions == 10
    assert found.accuracy == (pytest.approx(5 / 9), pytest.approx(6 / 9))
    assert found.accuracy_change is not None
    assert found.accuracy_change.questions == 9
    assert found.accuracy_change.mean == pytest.approx(1 / 9)
    assert found.accuracy_change.p > 0.3
    assert found.length_change.questions == 10
    assert found.length_change.high < -30
    assert found.length_change.p < 0.001
    assert found.transitions.counts == {"preserved": 4, "lost": 1, "gained": 2, "failed": 2}
    assert found.transitions.answer == "first"
    assert found.l_acc == pytest.approx(6 / 9 * math.sqrt(1 - found.length[1] / found.length[0]))


def test_several_samples_are_paired_by_question() -> None:
    before, after = answers(4, 100, samples=4), answers(4, 90, samples=4)
    after[0] = response("q0", 0, response_tokens=90, verdict="incorrect")
    found = pair("one", before, after, names=("A", "B"), length="thinkless_tokens", seed=0)
    assert found.transitions.answer == "majority"
    assert found.transitions.counts["preserved"] == 4
    assert found.accuracy_change is not None
    assert found.accuracy_change.mean == pytest.approx(-1 / 40)
    assert found.length[0] == pytest.approx(109.5)


def test_a_comparison_is_a_page_data_and_a_plot(models: list[Path], tmp_path: Path) -> None:
    before, after = (read_result(str(m)) for m in models[:2])
    page = write_pairs(before, after, tmp_path / "out")
    text = page.read_text()
    assert text.startswith("# small-short against small\n")
    row = next(line for line in text.splitlines() if line.startswith("| one | 10 |"))
    assert "| 50.0 | 60.0 | +10.0 (" in row
    assert "| 104.5 | 54.5 | -50.0 (-50.0 to -50.0), p = 0.0002 | 52.2 % |" in row
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert data["benchmarks"]["two"]["transitions"]["counts"]["preserved"] == 8
    for benchmark in ("one", "two"):
        assert (tmp_path / "out" / f"transitions-{benchmark}.png").stat().st_size > 0
    with pytest.raises(ResultError, match="both are called"):
        write_pairs(before, before, tmp_path / "out")
