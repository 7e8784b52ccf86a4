"""Files of cases through a real pool, and the command that judges them."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from services.verification import case_file
from services.verification.case_file import verify_file
from services.verification.pool import VerificationPool


def boxed(answer: str) -> str:
    return f"<think>so</think> \\boxed{{{answer}}}"


def line(identity: object, gold: object, answer: str, **more: object) -> bytes:
    return json.dumps({"id": identity, "gold": gold, "output": boxed(answer), **more}).encode()


def judge(folder: Path, *lines: bytes) -> list[dict[str, object]]:
    source, target = folder / "cases.jsonl", folder / "verdicts.jsonl"
    source.write_bytes(b"\n".join(lines) + b"\n")
    with VerificationPool(1, 30.0, 512) as pool:
        counts = verify_file(source, target, pool, "reward")
    found = [json.loads(text) for text in target.read_text().splitlines()]
    assert counts.total() == len(found)
    return found


def test_verdicts_come_in_the_order_of_the_cases(tmp_path: Path):
    found = judge(
        tmp_path,
        line("a", "x+1", "1+x"),
        line(2, "7", "8"),
        line("2", ["8", "7"], "7", note="more fields are fine"),
        line("d", "7", "7.5", tolerance={"absolute": 0.5}),
    )
    assert [(f["id"], f["verdict"]) for f in found] == [
        ("a", "correct"),
        (2, "incorrect"),
        ("2", "correct"),
        ("d", "correct"),
    ]
    assert set(found[0]) == {"id", "verdict", "reason", "seconds"}


BAD = [
    (b"{", {"line": 2}, "not JSON"),
    (b"[" * 100_000, {"line": 2}, "not JSON"),
    (b'{"id": "x", "gold": "\xff"}', {"line": 2}, "not UTF-8"),
    (b"[1]", {"line": 2}, "not a JSON object"),
    (b'{"gold": "1", "output": ""}', {"line": 2}, "'id' is missing"),
    (b'{"id": true, "gold": "1", "output": ""}', {"line": 2}, "'id' is not usable"),
    (b'{"id": "x", "output": ""}', {"id": "x"}, "'gold' is missing"),
    (b'{"id": "x", "gold": [], "output": ""}', {"id": "x"}, "'gold' is empty"),
    (b'{"id": "x", "gold": " ", "output": ""}', {"id": "x"}, "'gold' is empty"),
    (b'{"id": "x", "gold": ["1", ""], "output": ""}', {"id": "x"}, "'gold' is not usable"),
    (b'{"id": "x", "gold": 7, "output": ""}', {"id": "x"}, "'gold' is not usable"),
    (b'{"id": "x", "gold": "1"}', {"id": "x"}, "'output' is missing"),
    (b'{"id": "x", "gold": "1", "output": 1}', {"id": "x"}, "'output' is not usable"),
    (
        b'{"id": "x", "gold": "1", "output": "", "tolerance": {"absolute": -1}}',
        {"id": "x"},
        "'tolerance' is not usable",
    ),
    (b'{"id": "first"}', {"id": "first", "line": 2}, "already stands in line 1"),
]


@pytest.mark.parametrize(("bad", "place", "reason"), BAD)
def test_a_bad_line_is_an_error_of_its_own(tmp_path: Path, bad: bytes, place: object, reason: str):
    found = judge(tmp_path, line("first", "1", "1"), bad, b"", line("last", "1", "1"))
    assert [f["verdict"] for f in found] == ["correct", "error", "correct"]
    assert reason in str(found[1]["reason"])
    assert {k: v for k, v in found[1].items() if k in ("id", "line")} == place


def test_a_line_that_is_too_long_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(case_file, "MAX_LINE", 1 << 20)
    found = judge(tmp_path, line("a", "1", "1"), b"x" * (5 << 19), line("b", "1", "1"))
    assert [f.get("id", f.get("line")) for f in found] == ["a", 2, "b"]
    assert "longer than 1 MiB" in str(found[1]["reason"])


def peak_of(lines: int, folder: Path) -> int:
    """Most bytes that were allocated at a time while so many answers were judged."""
    source = folder / "cases.jsonl"
    with source.open("wb") as file:
        for i in range(lines):
            file.write(line(i, "1", "1", note="x" * 500) + b"\n" + b"nonsense\n")
    tracemalloc.start()
    with VerificationPool(1, 30.0, 512) as pool:
        counts = verify_file(source, folder / "verdicts.jsonl", pool, "reward")
    assert counts == {"correct": lines, "error": lines}
    return tracemalloc.get_traced_memory()[1]


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    peaks = []
    for lines in (5_000, 20_000):
        # In a process of its own: threads that other tests have left allocate, too.
        with ProcessPoolExecutor(1, get_context("spawn")) as own:
            peaks.append(own.submit(peak_of, lines, tmp_path).result(110))
    assert peaks[1] < peaks[0] + (1 << 20)


def test_what_was_at_the_target_stays_when_the_run_breaks_off(tmp_path: Path):
    source, target = tmp_path / "cases.jsonl", tmp_path / "verdicts.jsonl"
    source.write_bytes(line("a", "1", "1"))
    target.write_text("before")

    def stop(_lines: int, _bytes: int) -> None:
        raise KeyboardInterrupt

    with VerificationPool(1, 30.0, 512) as pool, pytest.raises(KeyboardInterrupt):
        verify_file(source, target, pool, "reward", stop)
    assert target.read_text() == "before"


def laconic(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api.cli", "verify", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_judges_a_file_without_a_server(tmp_path: Path):
    source, target = tmp_path / "cases.jsonl", tmp_path / "verdicts.jsonl"
    slow = r"\int_0^{7} \cos(\cos(\sin(\exp(x^x)))) dx"
    source.write_bytes(
        b"\n".join([line("a", "x+1", "1+x"), b"nonsense", line("b", r"\int_0^1 x^x dx", slow)])
    )
    done = laconic("--input", source, "--output", target, "--timeout", 1, "--workers", 1)
    assert done.returncode == 0, done.stderr
    found = [json.loads(text) for text in target.read_text().splitlines()]
    assert [f["verdict"] for f in found] == ["correct", "error", "timeout"]
    assert "1 timeout" in done.stdout


def test_the_command_refuses_bad_arguments_with_code_2(tmp_path: Path):
    source, target = tmp_path / "cases.jsonl", tmp_path / "verdicts.jsonl"
    source.write_bytes(line("a", "1", "1"))
    for arguments, message in (
        (["--input", tmp_path / "none.jsonl", "--output", target], "none.jsonl: no such file"),
        (["--input", source, "--output", source], "is the input"),
        (["--input", source, "--output", target, "--policy", "kind"], "reward, eval"),
        (["--input", source, "--output", target, "--kind", "nobody"], "there are math"),
    ):
        done = laconic(*arguments)
        assert done.returncode == 2
        assert message in " ".join(done.stderr.split())
        assert not target.exists()
