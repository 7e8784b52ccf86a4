"""What a job's record says about its data: source, content, and questions that stand in both."""

from __future__ import annotations

import json

import pytest

from services.job_data import load_job_data
from services.presets.registry import resolve

QUESTIONS = [f"How many legs have {n} cows and {n + 3} hens together?" for n in range(20)]


@pytest.fixture
def spec(tmp_path):
    def make(train, held_out=None, **evaluation):
        def write(name, texts):
            file = tmp_path / name
            rows = [{"id": f"{name[0]}{i}", "question": t, "answer": 1} for i, t in
                    enumerate(texts)]  # fmt: skip
            file.write_text("".join(json.dumps(r) + "\n" for r in rows))
            return str(file)

        asked = held_out and {"path": write("held.jsonl", held_out), **evaluation}
        overrides = {"data": {"path": write("train.jsonl", train)}, "evaluation": asked}
        return resolve("tiny-cpu", overrides)

    return make


def kinds(data):
    return [(n.kind, n.level) for n in data.notices]


def test_sets_apart_are_recorded_and_nothing_is_warned_of(spec):
    data = load_job_data(spec(QUESTIONS[:10], QUESTIONS[10:]))
    assert kinds(data) == [("data", "info")]
    assert [len(data.questions), len(data.held_out)] == [10, 10]
    record = data.notices[0].data
    assert record["train"]["questions"] == 10
    assert record["train"]["source"].endswith("train.jsonl")
    assert record["train"]["sha256"] != record["evaluation"]["sha256"]
    json.dumps(record)


def test_questions_in_both_are_warned_of_with_examples(spec):
    data = load_job_data(spec(QUESTIONS[:12], QUESTIONS[10:], questions=5))
    assert kinds(data) == [("data", "info"), ("data_overlap", "warning")]
    warning = data.notices[1]
    assert {k: warning.data[k] for k in ("questions", "overlapping", "same")} == {
        "questions": 5, "overlapping": 2, "same": 2,
    }  # fmt: skip
    assert [e["held_out_id"] for e in warning.data["examples"]] == ["h0", "h1"]
    assert "2 of 5" in warning.message
    assert "'h0' in 't10'" in warning.message
    json.dumps(warning.data)


def test_only_the_questions_that_are_asked_count(spec):
    assert kinds(load_job_data(spec(QUESTIONS[:11], QUESTIONS[::-1], questions=5))) == [
        ("data", "info")
    ]


def test_without_evaluation_there_is_nothing_to_compare(spec):
    data = load_job_data(spec(QUESTIONS))
    assert kinds(data) == [("data", "info")]
    assert data.held_out == []
    assert data.notices[0].data["evaluation"] is None


def test_content_that_is_not_pinned_is_a_warning(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("LACONIC_DATA", str(tmp_path))
    (tmp_path / "aime24.jsonl").write_text('{"problem": "Another one?", "answers": [7]}\n')
    asked = {"path": "benchmark:aime24", "allow_other_content": True}
    made = spec(QUESTIONS)
    made = type(made).model_validate({**made.model_dump(), "evaluation": asked})
    (notice,) = load_job_data(made).notices
    assert notice.level == "warning"
    assert "benchmark:aime24 (not the pinned content)" in notice.message
    assert notice.data["evaluation"]["pinned"] is False


def test_the_sets_of_the_demo_have_nothing_in_common():
    assert kinds(load_job_data(resolve("tiny-cpu"))) == [("data", "info")]
