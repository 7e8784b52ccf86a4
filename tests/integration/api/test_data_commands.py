"""``laconic data`` as a process of its own, on files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

LONG = "A train leaves at noon and covers ninety miles in two hours. How fast is it on average?"


@pytest.fixture
def run(tmp_path):
    def call(*arguments, folder=None):
        place = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
        place |= {"LACONIC_DATA": str(folder)} if folder else {}
        return subprocess.run(
            [sys.executable, "-m", "api.cli", "data", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **place},
            check=False,
        )

    return call


def write(file, *questions, answer="1"):
    rows = [{"id": f"{file.stem}{i}", "question": q, "answer": answer} for i, q in
            enumerate(questions)]  # fmt: skip
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(file)


def test_list_says_what_is_where(run, tmp_path):
    row = {"problem": "Half of one?", "answers": ["0.5"]}
    (tmp_path / "math500.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "gsm8k.jsonl").write_text('{"problem": "no answer"}\n')
    done = run("list", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    by_name = {s["name"]: s for s in json.loads(done.stdout)}
    assert (by_name["math500"]["content"], by_name["math500"]["rows_found"]) == ("other", 1)
    assert by_name["math500"]["source"] == str(tmp_path / "math500.jsonl")
    assert by_name["gsm8k"]["content"] == "unusable"
    assert "'answers'" in by_name["gsm8k"]["note"]
    assert by_name["aime24"]["content"] == "absent"
    printed = run("list", folder=tmp_path).stdout
    assert "1 of 500" in printed
    assert "nowhere" in printed


def test_check_finds_what_is_in_both_and_says_so_by_its_exit_code(run, tmp_path):
    train = write(tmp_path / "train.jsonl", LONG, "What is 1 + 1?")
    other = write(tmp_path / "other.jsonl", "Who is there?")
    held = write(tmp_path / "held.jsonl", "What is $1+1$?", LONG + " And by night?")
    clean = run("check", "--train", train, "--eval", other)
    assert (clean.returncode, "none of 1 questions" in clean.stdout) == (0, True)
    done = run("check", "--train", train, "--eval", held, "--eval", other)
    assert done.returncode == 1
    assert "2 of 2 questions" in done.stdout
    assert "held0 ~ train1 (same)" in done.stdout
    assert "held1 ~ train0 (shared)" in done.stdout
    listed = run("check", "--train", train, "--eval", held, "--share", "0.9", "--json")
    assert listed.returncode == 1
    report = json.loads(listed.stdout)
    assert report["questions"] == 2
    assert [o["held_out_id"] for o in report["held_out"][held]["overlaps"]] == ["held0"]


def test_bad_input_is_one_message_and_code_2(run, tmp_path):
    train = write(tmp_path / "train.jsonl", LONG)
    for arguments, words in (
        (("--train", train, "--eval", "none.jsonl"), "none.jsonl: no such file"),
        (("--train", train, "--eval", "benchmark:aime42"), "did you mean benchmark:aime24"),
        (("--train", train, "--eval", train, "--question-field", "text"), "'text' is missing"),
        (("--train", train, "--eval", "benchmark:gsm8k"), "HF_HUB_OFFLINE"),
    ):
        done = run("check", *arguments)
        assert done.returncode == 2, done.stdout
        assert words in done.stderr
        assert "Traceback" not in done.stderr
