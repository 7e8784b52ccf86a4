"""Many kinds of answers through a real pool: shared cases where they lie, and hostile ones."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algorithms.trajectory import JUDGED, Judgement
from services.verification.pool import VerificationPool
from services.verification.settle import Settled, settle
from services.verification.symbolic import decide

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("LACONIC_SHARED_DATA", ROOT.parent / "shared" / "data"))
FILE = SHARED / "verifier_cases.jsonl"
MAX_MISSES = 2
"""Right answers that may be refused; docs/verification.md says which kinds are."""


@pytest.fixture(scope="module")
def pool() -> Iterator[VerificationPool]:
    with VerificationPool(2, 30.0, 1024, warm=True) as pool:
        pool.judge([(("x+1",), r"</think> \boxed{1+x}")])
        yield pool


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    if not FILE.exists():
        pytest.skip(f"no file of cases at {FILE} (LACONIC_SHARED_DATA names the folder)")
    return [json.loads(line) for line in FILE.read_text().splitlines()]


def golds(case: dict[str, Any]) -> tuple[str, ...]:
    return tuple(case["gold"]) if isinstance(case["gold"], list) else (case["gold"],)


def definite(case: dict[str, Any]) -> bool:
    return not case.get("either")


def check(cases: list[dict[str, Any]], judgements: list[Judgement]) -> None:
    paired = list(zip(cases, judgements, strict=True))
    failed = [c["id"] for c, j in paired if definite(c) and j.verdict not in JUDGED]
    false_positives = [
        c["id"]
        for c, j in paired
        if definite(c) and j.verdict == "correct" and c["expected"] != "correct"
    ]
    misses = [
        c["id"]
        for c, j in paired
        if definite(c) and j.verdict != "correct" and c["expected"] == "correct"
    ]
    assert not failed
    assert not false_positives
    assert len(misses) <= MAX_MISSES, misses


def test_the_shared_cases_under_reward(pool: VerificationPool, cases: list[dict[str, Any]]):
    mark = Path("/tmp/verifier_pwned1")
    mark.unlink(missing_ok=True)
    check(cases, pool.judge([(golds(c), c["output"]) for c in cases]))
    assert not mark.exists()


def test_the_shared_cases_under_eval(cases: list[dict[str, Any]]):
    # In this process, so without those that are there to hang it.
    harmless = [c for c in cases if c["category"] != "robust"]
    judgements = []
    for case in harmless:
        found = settle(golds(case), case["output"], "eval")
        if not isinstance(found, Settled):
            finding = decide(found.golds, found.answer, policy="eval")
            found = Settled(finding.verdict, finding.reason, found.well_formed)
        judgements.append(Judgement(found.verdict, found.reason, found.well_formed))
    check(harmless, judgements)


HOSTILE = [
    r"\dfrac{7^{\left(7^{\left(7^7\right)}\right)}-7}{6}",
    "8^8^8^8",
    r"(10^{9})!",
    r"((9!)!)!",
    r"\prod_{k=1}^{9999999} k",
    r"\sum_{k=1}^{9999999999} \frac{1}{k}",
    r"\binom{10^{12}}{10^{6}}",
    r"(x+1)^{9000} - x^{9000}",
    r"x^{x^{x^{x^{x^x}}}}",
    r"e^{e^{e^{e^{e^x}}}}",
    r"\int_0^1 \cos(\cos(\cos(x^x))) dx",
    r"\lim_{x \to 0} \frac{\sin(\tan(x)) - \tan(\sin(x))}{x^7}",
    "(" * 3000 + "x" + ")" * 3000,
    r"\sqrt{" * 500 + "x" + "}" * 500,
    "{" * 2000,
    "1+" * 900 + "1",
    "x" * 2000,
    r"\frac{" * 300,
    "x+\x00\x01",
    "x+\ud800",
    "\N{RIGHT-TO-LEFT OVERRIDE}x",
    "x \N{COMBINING ENCLOSING CIRCLE}" * 200,
    "\\" * 1999,
    "$" * 1999,
    "=" * 1999,
    "|" * 1999,
    r"\text{" * 400,
    r"\begin{pmatrix}" * 100,
]


@pytest.mark.parametrize("gold", ["7", "x+1", r"\sqrt{2}", "(0,1]", "y=x^2"])
def test_hostile_answers_are_judged_in_time_and_never_right(pool: VerificationPool, gold: str):
    started = time.monotonic()
    found = pool.judge([((gold,), f"</think> \\boxed{{{answer}}}") for answer in HOSTILE])
    assert {j.verdict for j in found} <= {"incorrect", "unparsable"}
    assert time.monotonic() - started < 60


def test_a_megabyte_is_no_answer(pool: VerificationPool):
    for text in ("x" * 10**6, r"\boxed{7}" * 10**5 + "8}", "{" * 10**6):
        [judgement] = pool.judge([(("7",), f"</think> \\boxed{{{text}}}")])
        assert judgement.verdict in JUDGED


def test_code_in_an_answer_is_never_run(pool: VerificationPool, tmp_path: Path):
    mark = tmp_path / "mark"
    for code in (
        f"__import__('pathlib').Path('{mark}').touch()",
        f"exec(\"open('{mark}','w')\")",
        f"\\text{{x}} or open('{mark}', 'w')",
        f"[c for c in ().__class__.__base__.__subclasses__()] + [open('{mark}','w')]",
        f"\\immediate\\write18{{touch {mark}}}",
        f'\\input|"touch {mark}"',
        f"lambda: open('{mark}','w')",
        f"sin(open('{mark}','w'))",
    ):
        for gold in ("x", "0", r"\text{x}"):
            [judgement] = pool.judge([((gold,), f"</think> \\boxed{{{code}}}")])
            assert judgement.verdict != "correct"
    assert not mark.exists()
