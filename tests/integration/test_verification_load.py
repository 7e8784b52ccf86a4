"""The pool under load: several callers, answers that hang, workers that are killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from algorithms.trajectory import Judgement
from services.verification import pool as pool_module
from services.verification.case import Case
from services.verification.pool import VerificationPool
from tests.integration.waiting import wait_until
from tests.verifier_distribution import install

WORDS = ("alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")


def boxed(answer: str) -> str:
    return f"<think>so</think> \\boxed{{{answer}}}"


def overrunning(seed: int) -> Case:
    """A real answer that keeps sympy busy for longer than any limit here; all look different."""
    r = random.Random(seed)
    inner = r.choice(("x^x", "t^t", "u^u"))
    x = inner[0]
    for _ in range(6):
        inner = r.choice((r"\sin", r"\cos")) + f"({inner})"
    gold = rf"\int_0^{{{seed + 1}}} {x}^{x} d{x}"
    return Case((gold,), boxed(rf"\int_0^{{{seed % 900 + 1}}} {inner} d{x}"))


@pytest.fixture
def last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)


def words(number: int) -> str:
    """A text without digits, so that no two look alike."""
    return " ".join(WORDS[int(d)] for d in str(number))


def test_callers_in_many_threads_get_their_own_verdicts():
    found: dict[int, list[Judgement]] = {}

    def call(caller: int, pool: VerificationPool) -> None:
        cases = [((f"x+{i % 40}",), boxed(f"{i % 40 + i % 2}+x")) for i in range(80)]
        found[caller] = pool.judge(cases, job=str(caller))

    with VerificationPool(2, 30.0, 512) as pool:
        callers = [threading.Thread(target=call, args=(i, pool)) for i in range(6)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(200)
        gauges = pool.gauges()
    assert sorted(found) == list(range(6))
    for judgements in found.values():
        assert [j.verdict for j in judgements] == ["correct", "incorrect"] * 40
    assert gauges["tasks"] == 40  # each question was asked once, whoever asked it
    assert gauges["tasks"] + gauges["joined"] + gauges["cached"] + gauges["exact"] == 480


@pytest.mark.usefixtures("last_word")
def test_a_small_job_does_not_wait_for_a_large_one():
    with VerificationPool(1, 30.0, 256, kind="last-word") as pool:
        pool.judge([Case(("oak",), "it is oak")])
        large = [Case(("oak",), f"nap {words(i)} oak") for i in range(400)]
        small = [Case(("elm",), f"nap {words(i)} elm") for i in range(10)]
        ended: dict[str, float] = {}

        def call(job: str, cases: list[Case]) -> None:
            assert {j.verdict for j in pool.judge(cases, job=job)} == {"correct"}
            ended[job] = time.monotonic()

        first = threading.Thread(target=call, args=("large", large))
        first.start()
        wait_until("the large job to wait", lambda: pool.gauges()["waiting"] > 300, 60, 0.01)
        started = time.monotonic()
        call("small", small)
        first.join(200)
    # With ten of four hundred naps the small one takes a fortieth, and some for taking turns.
    assert ended["small"] - started < (ended["large"] - started) / 4


@pytest.mark.usefixtures("last_word")
def test_answers_that_hang_keep_nobody_waiting():
    with VerificationPool(2, 2.0, 256, kind="last-word") as pool:
        pool.judge([Case(("oak",), "it is oak")])
        good = [Case(("oak",), f"nap {words(i)} oak") for i in range(60)]
        bad = [Case(("oak",), f"spin {words(i)} oak") for i in range(12)]
        cases = [*good, *bad]
        random.Random(0).shuffle(cases)
        found = pool.judge(cases)
        timings = [t.verdict for t in sorted(pool.timings(), key=lambda t: t.at)][1:]
        gauges = pool.gauges()
    assert [j.verdict for j in found] == ["correct" if c in good else "timeout" for c in cases]
    # Two could hang at a time in the slow lane: the good ones are through before four have.
    last_good = max(i for i, verdict in enumerate(timings) if verdict == "correct")
    assert timings[:last_good].count("timeout") <= 4
    assert gauges["demoted"] > 0
    assert gauges["timeouts"] == 12


@pytest.mark.usefixtures("last_word")
def test_answers_that_look_like_one_that_hung_do_not_begin_in_the_fast_lane():
    with VerificationPool(1, 0.5, 256, kind="last-word") as pool:
        assert pool.judge([Case(("oak",), "spin 1 oak")])[0].verdict == "timeout"
        before = pool.gauges()["demoted"]
        cases = [Case(("oak",), f"spin {i} oak") for i in range(2, 8)]
        naps = [Case(("oak",), f"nap {words(i)} oak") for i in range(100)]
        found = pool.judge([*cases, *naps])
        assert [j.verdict for j in found] == ["timeout"] * 6 + ["correct"] * 100
        assert pool.gauges()["demoted"] == before


@pytest.mark.usefixtures("last_word")
def test_an_installed_verifier_has_the_limits_of_every_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_SECRET", "x")
    with VerificationPool(1, 1.0, 256, kind="last-word") as pool:
        outputs = ["it is oak", "it is elm", "raise oak", "nonsense oak", "sleep oak"]
        found = pool.judge([Case(("oak",), o) for o in outputs])
        assert [(j.verdict, j.reason) for j in found] == [
            ("correct", "correct"),
            ("incorrect", "another_word"),
            ("error", "exception:LookupError"),
            ("error", "not_a_verdict"),
            ("timeout", "wall_clock"),
        ]
        assert pool.judge([Case(("oak",), "environment oak")])[0].reason == "[]"


@pytest.mark.usefixtures("last_word")
def test_what_a_worker_has_started_ends_with_it():
    def children() -> list[psutil.Process]:
        mine = psutil.Process().children(recursive=True)
        return [p for p in mine if "import time; time.sleep(3600)" in p.cmdline()]

    with VerificationPool(1, 3.0, 256, kind="last-word") as pool:
        found: list[Judgement] = []
        caller = threading.Thread(
            target=lambda: found.extend(pool.judge([Case(("oak",), "child oak")]))
        )
        caller.start()
        [child] = wait_until("the worker to start a process", children, 60, 0.05)
        caller.join(30)
        assert [j.verdict for j in found] == ["timeout"]
        wait_until("that process to end", lambda: not child.is_running(), 10)


def test_a_verifier_that_cannot_be_imported_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    install(tmp_path, monkeypatch)
    (tmp_path / "last_word_module.py").write_text("import nothing_of_this_name")
    with VerificationPool(1, 1.0, 256, kind="last-word") as pool:
        found = pool.judge([Case(("oak",), f"it is {w}") for w in WORDS])
        assert {(j.verdict, j.reason) for j in found} == {("error", "no_worker")}


@pytest.mark.usefixtures("last_word")
def test_a_caller_waits_when_too_much_of_its_job_is_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool_module, "_PENDING", 10)
    drawn = 0

    def cases() -> Iterator[Case]:
        nonlocal drawn
        for i in range(60):
            drawn += 1
            yield Case(("oak",), f"nap {words(i)} oak")

    with VerificationPool(1, 30.0, 256, kind="last-word") as pool:
        for done, judgement in enumerate(pool.stream(cases())):
            assert judgement.verdict == "correct"
            assert drawn <= done + 12
            assert pool.gauges()["waiting"] <= 10


@pytest.mark.usefixtures("last_word")
def test_a_call_with_an_end_gets_timeouts_for_what_is_not_judged_by_then():
    with VerificationPool(1, 1.0, 256, kind="last-word") as pool:
        pool.judge([Case(("oak",), "it is oak")])
        cases = [Case(("oak",), f"sleep {words(i)} oak") for i in range(20)]
        started = time.monotonic()
        found = pool.judge([*cases, Case(("oak",), "it is an oak")], within=2.5)
        assert time.monotonic() - started < 8
        assert {j.verdict for j in found[:-1]} == {"timeout"}
        assert {j.reason for j in found[:-1]} == {"wall_clock", "deadline"}
        wait_until("the pool to forget them", lambda: not pool.gauges()["waiting"], 10, 0.05)


@pytest.mark.usefixtures("last_word")
def test_a_long_response_reaches_the_worker_whole_and_a_too_long_one_does_not():
    with VerificationPool(1, 30.0, 256, kind="last-word") as pool:
        long = Case(("oak",), "it is " + "a" * 900_000 + " oak")
        too_long = Case(("oak",), "it is " + "a" * 1_100_000 + " oak")
        assert [j.verdict for j in pool.judge([long, too_long])] == ["correct", "unparsable"]


def _kill_now_and_then(pool: VerificationPool, times: int, ended: threading.Event) -> list[int]:
    """Kill workers, at work or not, until ``times`` were; return their process ids."""
    r, killed = random.Random(0), []
    while len(killed) < times and not ended.wait(0.1):
        if pids := set(pool.pids()) - set(killed):
            victim = r.choice(sorted(pids))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
    return killed


def test_every_case_gets_exactly_one_verdict_whatever_happens_to_the_workers():
    """600 cases, 5 % of which hang, and 1 % of which cost a worker its life."""
    cases: list[Case] = []
    expected: list[str] = []
    for i in range(190):
        cases += [
            Case((str(i),), boxed(str(i))),
            Case((f"x^2-{i + 2}",), boxed(f"-{i + 2}+x^2")),
            Case((f"x+{i}",), boxed(f"y+{i}")),
        ]
        expected += ["correct", "correct", "incorrect"]
    for i in range(30):
        at = 20 * i
        cases.insert(at, overrunning(i))
        expected.insert(at, "timeout")
    ended = threading.Event()
    killed: list[int] = []
    with VerificationPool(2, 1.0, 512) as pool:
        killer = threading.Thread(target=lambda: killed.extend(_kill_now_and_then(pool, 6, ended)))
        killer.start()
        found = pool.judge(cases)
        ended.set()
        killer.join(10)
        gauges = pool.gauges()
    assert len(cases) == len(expected) == len(found) == 600
    assert len(killed) == 6
    assert gauges["crashes"] == 6
    verdicts = [j.verdict for j in found]
    judged = [v for v in verdicts if v in ("correct", "incorrect")]
    # What was judged was judged rightly. A busy machine may leave some of the others unjudged, and
    # a worker may be killed at the same answer twice; neither is ever a wrong answer.
    for verdict, right in zip(verdicts, expected, strict=True):
        assert verdict == right or verdict in ("timeout", "error")
        assert right != "timeout" or verdict in ("timeout", "error")
    assert len(judged) > 540
    assert sum(n for name, n in gauges.items() if name.startswith("verdict_")) == 600
