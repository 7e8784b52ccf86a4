"""The pool with real worker processes: limits, replacement, retry, order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from algorithms.trajectory import Judgement
from services.verification import verdict_memory
from services.verification.case import Case
from services.verification.pool import PoolClosed, VerificationPool
from tests.integration.waiting import wait_until

LIMIT = 1.5
"""Wall clock of one answer here, in seconds."""
MARGIN = 3.0
"""For a verdict to come after its limit: this machine may be busy."""
SLOW = ((r"\int_0^1 x^x dx",), r"\int_0^1 \sin(\sin(\sin(\sin(\sin(\sin(x^x)))))) dx")
"""Passes the static guards and keeps sympy busy for a minute."""
HUNGRY = ((r"\mathbb{x}+\sum_{k=1}^{2} k",), r"(\mathbb{x}+a+b+c+d+f)^{60}+\sum_{k=1}^{2} k")
"""Passes the static guards; only sympy reads it, and expands it to millions of terms."""


def boxed(answer: str) -> str:
    return f"<think>so</think> \\boxed{{{answer}}}"


@pytest.fixture
def pool() -> Iterator[VerificationPool]:
    with VerificationPool(2, LIMIT, 512, warm=True) as pool:
        # The first answer waits for the imports, which are no part of any limit.
        pool.judge([(("x+1",), boxed("1+x"))])
        wait_until("the spare workers", lambda: len(pool.pids()) >= 2, 10)
        yield pool


def test_order_is_kept_and_every_response_gets_one_judgement():
    items = []
    expected = []
    for i in range(30):
        items += [
            ((str(i),), boxed(str(i))),
            ((str(i),), boxed(str(i + 1))),
            ((f"x^2-{i + 2}",), boxed(f"-{i + 2}+x^2")),
            ((f"x+{i}",), boxed(f"y+{i}")),
            ((str(i),), f"cut off at {i}"),
        ]
        expected += ["correct", "incorrect", "correct", "incorrect", "unparsable"]
    # A generous limit: this is about order, and a busy machine must not turn it into timeouts.
    with VerificationPool(2, 30.0, 512) as pool:
        assert [j.verdict for j in pool.judge(items)] == expected


def test_plain_numbers_need_no_worker():
    with VerificationPool(2, LIMIT, 512) as pool:
        judgements = pool.judge([(("7",), boxed("7")), (("7",), boxed("8")), (("7",), "no")])
        assert [j.verdict for j in judgements] == ["correct", "incorrect", "unparsable"]
        assert [j.reason for j in judgements] == ["equal", "different", "no_think_close"]
        assert pool.gauges()["spawned"] == 0


def test_an_answer_that_hangs_becomes_a_timeout_and_the_rest_is_judged(pool: VerificationPool):
    items = [(SLOW[0], boxed(SLOW[1])), *[((f"x+{i}",), boxed(f"{i}+x")) for i in range(20)]]
    hung: set[int] = set()

    def judge() -> None:
        judgements.extend(pool.judge(items))

    judgements: list[Judgement] = []
    caller = threading.Thread(target=judge)
    caller.start()
    while caller.is_alive():
        hung = set(pool.busy()) or hung  # in the end only the one that hangs is at work
        time.sleep(0.05)
    assert (judgements[0].verdict, judgements[0].reason) == ("timeout", "wall_clock")
    assert {(j.verdict, j.reason) for j in judgements[1:]} == {("correct", "equal")}
    gauges = pool.gauges()
    assert gauges["timeouts"] == 1
    [took] = [t.took for t in pool.timings() if t.verdict == "timeout"]
    assert LIMIT <= took < LIMIT + MARGIN
    assert len(hung) == 1
    wait_until("the worker that hung to end", lambda: not psutil.pid_exists(*hung), 10)


def test_an_answer_that_overran_is_a_timeout_for_a_while_and_is_then_tried_again(monkeypatch):
    monkeypatch.setattr(verdict_memory, "QUARANTINE_SECONDS", 2.0)
    item = [(SLOW[0], boxed(SLOW[1]))]
    with VerificationPool(1, LIMIT, 512) as pool:
        assert pool.judge(item)[0].reason == "wall_clock"
        started = time.monotonic()
        [again] = pool.judge(item)
        assert (again.verdict, again.reason) == ("timeout", "quarantined")
        assert time.monotonic() - started < LIMIT / 2
        assert (pool.gauges()["timeouts"], pool.gauges()["quarantined"]) == (1, 1)
        time.sleep(2.0)
        assert pool.judge(item)[0].reason == "wall_clock"
        assert pool.gauges()["timeouts"] == 2
        assert pool.gauges()["cached"] == 0


def test_one_answer_given_many_times_is_judged_once(pool: VerificationPool):
    before = pool.gauges()
    same = [(SLOW[0], boxed(SLOW[1]))] * 8
    assert {j.verdict for j in pool.judge(same)} == {"timeout"}
    assert pool.gauges()["tasks"] - before["tasks"] == 1
    assert pool.gauges()["joined"] == 7


def test_a_stopped_worker_is_killed_and_replaced(pool: VerificationPool):
    stopped = pool.pids()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    [judgement] = pool.judge([(("x+2",), boxed("2+x"))])
    assert judgement.verdict == "timeout"
    [took] = [t.took for t in pool.timings() if t.verdict == "timeout"]
    assert took < LIMIT + MARGIN
    # The others that were stopped may be asked before a new one.
    later = [pool.judge([((f"x+{i}",), boxed(f"{i}+x"))])[0].verdict for i in range(3, 9)]
    assert later[-1] == "correct"
    assert later.count("timeout") < len(stopped)


def test_idle_workers_killed_from_outside_are_replaced(pool: VerificationPool):
    before = pool.pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    # One that is still dying takes an answer with it, and two of them make it an error.
    wait_until("their end", lambda: not any(map(psutil.pid_exists, before)), 10)
    items = [((f"x+{i}",), boxed(f"{i}+x")) for i in range(4)]
    assert {j.verdict for j in pool.judge(items)} == {"correct"}
    assert not set(before) & set(pool.pids())
    assert pool.gauges()["crashes"] == len(before)


def nurseries() -> list[psutil.Process]:
    """Return the processes that workers come from; what other tests have started is none."""
    mine = psutil.Process().children()
    there = [p for p in mine if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in there if "services.verification.nursery" in p.cmdline()]


def test_the_process_that_workers_come_from_is_replaced_too(pool: VerificationPool):
    before = pool.pids()
    [nursery] = nurseries()
    nursery.kill()
    wait_until("its workers to end", lambda: not set(pool.pids()) & set(before), 10)
    assert pool.judge([(("x+2",), boxed("2+x"))])[0].verdict == "correct"


def _kill_when_busy(pool: VerificationPool, times: int) -> threading.Thread:
    """Kill the busy worker, and then its successor, ``times`` times in all."""

    def hunt() -> None:
        killed: set[int] = set()
        deadline = time.monotonic() + 30
        while len(killed) < times and time.monotonic() < deadline:
            for pid in set(pool.busy()) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.02)

    thread = threading.Thread(target=hunt, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("kills", "verdict", "reason"), [(1, "timeout", "wall_clock"), (2, "error", "worker_died")]
)
def test_a_worker_killed_at_work_is_retried_once(kills: int, verdict: str, reason: str):
    with VerificationPool(1, 4.0, 512, warm=True) as pool:
        pool.judge([(("x+1",), boxed("1+x"))])
        hunter = _kill_when_busy(pool, kills)
        [judgement] = pool.judge([(SLOW[0], boxed(SLOW[1]))])
        hunter.join(30)
        assert (judgement.verdict, judgement.reason) == (verdict, reason)
        assert pool.gauges()["retries"] == 1
        assert pool.judge([(("x+2",), boxed("2+x"))])[0].verdict == "correct"


def test_a_memory_hog_is_stopped_at_the_limit():
    with VerificationPool(1, 60.0, 32, warm=True) as pool:
        pool.judge([(("x+1",), boxed("1+x"))])
        before = pool.pids()
        [judgement] = pool.judge([(HUNGRY[0], boxed(HUNGRY[1]))])
        assert (judgement.verdict, judgement.reason) == ("error", "memory")
        assert judgement.seconds < 60
        assert len(set(before) - set(pool.pids())) == 1
        assert pool.judge([(("x+2",), boxed("2+x"))])[0].verdict == "correct"


@pytest.mark.parametrize(
    "answer",
    [r"9^{9^{9^{9}}}", "9^9^9^9", r"(10^{10})!", "x^{100000}", "((((1+" * 30 + "1" + "))))" * 30],
)
def test_what_is_known_to_be_too_big_never_reaches_sympy(pool: VerificationPool, answer: str):
    started = time.monotonic()
    [judgement] = pool.judge([(("3+x",), boxed(answer))])
    assert judgement.verdict == "unparsable"
    assert judgement.reason.startswith("unsupported:")
    assert time.monotonic() - started < LIMIT


def test_nothing_in_an_answer_is_executed(pool: VerificationPool, tmp_path: Path):
    mark = tmp_path / "mark"
    for code in (f"open('{mark}','w')", f"().__class__.__base__ or open('{mark}','w')"):
        [judgement] = pool.judge([(("x",), boxed(code))])
        assert judgement.verdict != "correct"
    assert not mark.exists()


def test_any_accepted_answer_will_do(pool: VerificationPool):
    gold = ("7", r"\sqrt{2}+1", "y")
    assert pool.judge([(gold, boxed(r"1+\sqrt{2}"))])[0].verdict == "correct"
    assert pool.judge([(gold, boxed(r"2+\sqrt{2}"))])[0].verdict == "incorrect"


def test_a_question_without_an_accepted_answer_is_an_error():
    with VerificationPool(1, LIMIT, 512) as pool:
        assert [j.reason for j in pool.judge([((), boxed("7")), ((" ",), boxed("7"))])] == [
            "no_gold",
            "no_gold",
        ]


def test_closing_ends_every_worker():
    pool = VerificationPool(2, LIMIT, 512, warm=True)
    wait_until("the spare workers", lambda: len(pool.pids()) == 2, 90)
    [nursery] = nurseries()
    processes = [nursery, *nursery.children()]
    assert len(processes) == 3
    pool.close()
    pool.close()
    assert not any(p.is_running() for p in processes)
    with pytest.raises(PoolClosed):
        pool.judge([(("x+1",), boxed("1+x"))])


def test_closing_ends_the_wait_of_a_caller():
    pool = VerificationPool(1, 60.0, 512)
    raised: list[BaseException] = []

    def call() -> None:
        try:
            pool.judge([(SLOW[0], boxed(SLOW[1]))])
        except PoolClosed as error:
            raised.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until("the answer to be begun", pool.busy, 90)
    pool.close()
    caller.join(10)
    assert len(raised) == 1


def test_workers_die_with_the_process_that_started_them():
    program = (
        "import sys, time\n"
        "from services.verification.pool import VerificationPool\n"
        "pool = VerificationPool(2, 3.0, 512, warm=True)\n"
        "while len(pool.pids()) < 2: time.sleep(0.05)\n"
        "print(*pool.pids(), flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert parent.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait(10)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_what_was_handed_over_behind_an_answer_that_hangs_does_not_wait_for_it():
    items = [(SLOW[0], boxed(SLOW[1])), *(((f"x+{i}",), boxed(f"{i}+x")) for i in range(2, 9))]
    with VerificationPool(2, 30.0, 512, warm=True) as pool:
        wait_until("the spare workers", lambda: len(pool.pids()) >= 2, 10)
        pool.judge([(("x+1",), boxed("1+x"))] * 2)
        with pool._changed:  # all of them are there before the first is handed over
            asked = [pool._begin(Case(*item), "", None) for item in items]
        hung, *behind = (a.future for a in asked if not isinstance(a, Judgement))
        assert {f.result(timeout=15).verdict for f in behind} == {"correct"}
        assert len(behind) == len(items) - 1
        assert not hung.done()
