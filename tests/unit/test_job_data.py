"""What a job's record says about its data: source, content, and questions that stand in both."""

from __future__ import annotations

import json

import pytest

from services.data_error import DataError
from services.job_data import load_job_data
from services.presets.registry import resolve

QUESTIONS = [f"How many legs have {n} cows and {n + 3} hens together?" for n in range(20)]


@pytest.fixture
def load(tmp_path):
    """Load the data of a job; every call is another attempt at it."""
    return lambda spec: load_job_data(spec, tmp_path / "gold_check.json", lambda *_: None)


@pytest.fixture
def spec(tmp_path):
    def make(train, held_out=None, answers=None, **evaluation):
        def write(name, texts):
            file = tmp_path / name
            rows = [{"id": f"{name[0]}{i}", "question": t, "answer": (answers or {}).get(i, 1)}
                    for i, t in enumerate(texts)]  # fmt: skip
            file.write_text("".join(json.dumps(r) + "\n" for r in rows))
            return str(file)

        asked = held_out and {"path": write("held.jsonl", held_out), **evaluation}
        overrides = {"data": {"path": write("train.jsonl", train)}, "evaluation": asked}
        return resolve("tiny-cpu", overrides)

    return make


def kinds(data):
    return [(n.kind, n.level) for n in data.notices]


def test_sets_apart_are_recorded_and_nothing_is_warned_of(spec, load):
    data = load(spec(QUESTIONS[:10], QUESTIONS[10:]))
    assert kinds(data) == [("data", "info")]
    assert [len(data.questions), len(data.held_out)] == [10, 10]
    record = data.notices[0].data
    assert record["train"]["questions"] == 10
    assert record["train"]["source"].endswith("train.jsonl")
    assert record["train"]["sha256"] != record["evaluation"]["sha256"]
    json.dumps(record)


def test_questions_in_both_are_warned_of_with_examples(spec, load):
    data = load(spec(QUESTIONS[:12], QUESTIONS[10:], questions=5))
    assert kinds(data) == [("data", "info"), ("data_overlap", "warning")]
    warning = data.notices[1]
    assert {k: warning.data[k] for k in ("questions", "overlapping", "same")} == {
        "questions": 5, "overlapping": 2, "same": 2,
    }  # fmt: skip
    assert [e["held_out_id"] for e in warning.data["examples"]] == ["h0", "h1"]
    assert "2 of 5" in warning.message
    assert "'h0' in 't10'" in warning.message
    json.dumps(warning.data)


def test_only_the_questions_that_are_asked_count(spec, load):
    assert kinds(load(spec(QUESTIONS[:11], QUESTIONS[::-1], questions=5))) == [("data", "info")]


def test_without_evaluation_there_is_nothing_to_compare(spec, load):
    data = load(spec(QUESTIONS))
    assert kinds(data) == [("data", "info")]
    assert data.held_out == []
    assert data.notices[0].data["evaluation"] is None


def test_content_that_is_not_pinned_is_a_warning(spec, load, tmp_path, monkeypatch):
    monkeypatch.setenv("LACONIC_DATA", str(tmp_path))
    (tmp_path / "aime24.jsonl").write_text('{"problem": "Another one?", "answers": [7]}\n')
    asked = {"path": "benchmark:aime24", "allow_other_content": True}
    made = spec(QUESTIONS)
    made = type(made).model_validate({**made.model_dump(), "evaluation": asked})
    (notice,) = load(made).notices
    assert notice.level == "warning"
    assert "benchmark:aime24 (not the pinned content)" in notice.message
    assert notice.data["evaluation"]["pinned"] is False


# -- accepted answers that nothing can equal: all are found without algebra here ------------------

BAD = {3: "x +", 5: ["\\frac{1", "7"], 6: ["\\frac{1", "x +"]}


def dropping(spec):
    data = spec.data.model_copy(update={"bad_golds": "drop"})
    return spec.model_copy(update={"data": data})


def test_bad_answers_are_refused_with_their_questions(spec, load):
    with pytest.raises(DataError) as caught:
        load(spec(QUESTIONS, answers=BAD))
    assert "2 questions" in caught.value.problem
    assert "'t3' ('x +': string_only), 't6'" in caught.value.problem
    assert "'t5'" not in caught.value.problem, "one of its answers is good"
    assert "bad_golds: drop" in caught.value.remedy


def test_no_more_than_ten_are_named(spec, load):
    with pytest.raises(DataError) as caught:
        load(spec(QUESTIONS, answers=dict.fromkeys(range(13), "x +")))
    assert "'t9'" in caught.value.problem
    assert "'t10'" not in caught.value.problem
    assert "and 3 more" in caught.value.problem


def test_bad_answers_are_dropped_and_counted(spec, load):
    data = load(dropping(spec(QUESTIONS, answers=BAD)))
    assert {q.id for q in data.questions} == {f"t{i}" for i in range(20) if i not in (3, 6)}
    assert kinds(data) == [("data", "info"), ("bad_golds", "warning")]
    train = data.notices[0].data["train"]
    assert (train["questions"], train["dropped"]) == (20, 2)
    record = data.notices[1].data
    assert (record["set"], record["count"], record["undecided"]) == ("training", 2, 0)
    assert [e["question_id"] for e in record["examples"]] == ["t3", "t6"]
    json.dumps(record)


def test_a_later_attempt_drops_what_the_first_one_did(spec, load, tmp_path):
    made = dropping(spec(QUESTIONS, answers=BAD))
    first = load(made)
    kept = json.loads((tmp_path / "gold_check.json").read_text())
    kept["training"]["bad"] = kept["training"]["bad"][:1]
    (tmp_path / "gold_check.json").write_text(json.dumps(kept))
    assert len(load(made).questions) == len(first.questions) + 1, "it is not checked again"
    changed = load(dropping(spec(QUESTIONS[:10], answers=BAD)))
    assert len(changed.questions) == 8, "other questions are"


def test_nothing_is_left(spec, load):
    with pytest.raises(DataError, match="every accepted answer"):
        load(dropping(spec(QUESTIONS, answers=dict.fromkeys(range(20), "x +"))))


def test_held_out_questions_are_kept_and_warned_of(spec, load):
    data = load(spec(QUESTIONS[:3], QUESTIONS[8:], answers=BAD))
    assert len(data.held_out) == 12
    assert kinds(data) == [("data", "info"), ("bad_golds", "warning")]
    assert data.notices[1].data["set"] == "evaluation"
    assert [e["question_id"] for e in data.notices[1].data["examples"]] == ["h3", "h6"]


def test_the_sets_of_the_demo_have_nothing_in_common(load):
    assert kinds(load(resolve("tiny-cpu"))) == [("data", "info")]
