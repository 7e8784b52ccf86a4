"""What the verification pool withstands: ``python -m benchmarks.verification_pool``.

* Poisoned answers, 30 % of all, each of which overruns: what is left of the speed at which the good
  ones are judged, and how soon after its limit every verdict comes. Good answers are judged alone
  and with poisoned ones among them in turns, so that a load that comes and goes falls on both.
* 10,000 cases of all kinds, 5 % of which hang, while 100 workers are killed.
* What the pool adds to a comparison.

The table goes to the standard output, in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from services.reports.machine import describe_machine
from services.verification.case import Case
from services.verification.pool import VerificationPool
from services.verification.settle import Open, settle
from services.verification.symbolic import decide, warm

MEMORY_MIB = 1024
SHARE = 0.3
"""Of the answers, poisoned."""
CALCULUS = 0.01
"""Of the good answers, those that only sympy reads; they take a hundred times as long."""
MOST = 0.95
"""Part of the good answers whose speed is measured: that of all is the time of the slowest."""
PATIENCE = 3
"""A batch with poison is given up after this many times what its good answers take alone."""
OVERRUN = 0.99
"""Least part of the poisoned answers that must really overrun for a figure to count."""


HEADINGS = (
    "poisoned answers",
    "answers",
    "workers, limit",
    "good ones alone",
    "good ones with poison / alone",
    "processor time per good answer",
    "last good one: alone, with poison",
    "verdict after limit: 99 %, latest",
    "good ones waited: alone, with poison",
    "moved to a slower lane",
    "good ones unjudged",
)


def response(answer: str) -> str:
    """Return a response that ends in an answer."""
    return f"<think>some thoughts</think> The answer is $\\boxed{{{answer}}}$."


def good(r: random.Random) -> Case:
    """Return an answer that takes a worker, and not much of its time."""
    a, b, c, d = (r.randint(2, 999) for _ in range(4))
    x, y = r.sample("xyztuvwabk", 2)
    if r.random() < CALCULUS:
        return Case((rf"\sum_{{k=1}}^{{n}} {a}k",), response(rf"\sum_{{j=1}}^{{n}} {a}j"))
    gold, answer = r.choice(
        [
            (f"{x}^2-{a}", f"-{a}+{x}^2"),
            (f"{a}{x}+{b}{y}", f"{b}{y}+{a}{x}"),
            (rf"\frac{{{a}\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{a}}}{{{c}}}\sqrt{{{b}}}"),
            (rf"{a}\pi+{b}", rf"{b}+{a}\pi"),
            (rf"({x}-{a})({x}+{b})", rf"({x}+{b})({x}-{a})"),
            (rf"\left({a}\sqrt{{2}},{b}\right)", rf"(\sqrt{{2}}\cdot{a},{b})"),
            (rf"({a}\sqrt{{3}},{b}]", rf"\left({a}\sqrt{{3}},{b + d}\right]"),
            (rf"\{{{a},{b},{c}\pi\}}", rf"\{{\pi\cdot {c},{a},{b}\}}"),
            (rf"\frac{{{x}+{a}}}{{{y}-{b}}}", rf"\frac{{{a}+{x}}}{{{y}-{b}}}"),
            (rf"e^{{{a}{x}}}+{b}", rf"{b}+e^{{{a}{x}}}"),
            (rf"{a}{x}^3{y}-{b}", rf"{a}{y}{x}^3-{c}"),
        ]
    )
    return Case((gold,), response(answer))


def _integral(r: random.Random, functions: Sequence[str]) -> Case:
    x = r.choice("xtuzsvwpq")
    inner = f"{x}^{x}"
    for f in functions:
        inner = f"{f}({inner})"
    answer = rf"\int_0^{{{r.randint(1, 4999)}}} {inner} d{x}"
    return Case((rf"\int_0^{{{r.randint(1, 4999)}}} {x}^{x} d{x}",), response(answer))


def poison_of_few_kinds(r: random.Random) -> Case:
    """Return an answer that overruns; others of its three kinds differ in numbers and a name."""
    kinds = [(r"\sin",) * 6, (r"\cos", r"\sin", r"\cos", r"\cos"), (r"\sin", r"\cos") * 3]
    return _integral(r, r.choice(kinds))


def poison_of_all_kinds(r: random.Random) -> Case:
    """Return an answer that overruns, and looks like hardly another."""
    return _integral(r, [r.choice((r"\sin", r"\cos")) for _ in range(r.randint(5, 10))])


def exact(r: random.Random) -> Case:
    """Return an answer that needs no worker."""
    a = r.randint(2, 10**6)
    return Case((str(a),), response(str(a + r.randint(0, 1))))


@dataclass(frozen=True)
class Run:
    """One batch through a pool of its own; times in seconds."""

    rate: float
    """Good answers in a second, up to 95 % of those that took a worker."""
    last: float
    """When the last of them had its verdict, from the start."""
    processor_seconds: float
    """Used by the pool with all its processes for each good answer, up to 95 % of them."""
    waited: list[float]
    """Of the good answers: from being handed in to being handed to a worker."""
    took: list[float]
    """Of all answers: from being handed to a worker to the verdict."""
    gauges: dict[str, int]
    unjudged: int
    """Good answers without a verdict about the answer."""


class Meter(threading.Thread):
    """Reads the processor time of this process and of all it has started, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._readings = [(time.monotonic(), self._read())]

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self._readings.append((time.monotonic(), self._read()))

    def stop(self) -> None:
        """End the readings."""
        self._ended.set()
        self.join()

    def used_by(self, at: float) -> float:
        """Return the seconds used from the start up to a time (monotonic clock)."""
        first, *later = self._readings
        return max([used - first[1] for time_, used in later if time_ <= at + 0.1], default=0.0)

    @staticmethod
    def _read() -> float:
        used = 0.0
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                # Of a process that has ended, its parent has the time.
                used += sum(process.cpu_times()[:4])
        return used


def run(
    goods: Sequence[Case],
    poisons: Sequence[Case],
    workers: int,
    limit: float,
    within: float | None = None,
) -> Run:
    """Judge good and poisoned answers in random order, for at most ``within`` seconds.

    Raises:
        SystemExit: the poisoned answers do not overrun, so that nothing is measured.
    """
    cases = [(c, True) for c in goods] + [(c, False) for c in poisons]
    random.Random(0).shuffle(cases)
    with VerificationPool(workers, limit, MEMORY_MIB, warm=True) as pool:
        pool.judge([Case(("x+1",), response("1+x"))])
        start, meter = time.monotonic(), Meter()
        meter.start()
        judgements = pool.judge([c for c, _ in cases], within=within)
        timings = [t for t in pool.timings() if t.at >= start]
        gauges = pool.gauges()
        meter.stop()
    verdicts: dict[bool, list[str]] = {True: [], False: []}
    for judgement, (_, is_good) in zip(judgements, cases, strict=True):
        verdicts[is_good].append(judgement.verdict)
    if verdicts[False].count("timeout") < OVERRUN * len(poisons):
        raise SystemExit(f"the poisoned answers do not all overrun: {Counter(verdicts[False])}")
    found = sorted((t for t in timings if t.verdict != "timeout"), key=lambda t: t.at)
    most = found[: int(MOST * len(found))]
    return Run(
        rate=len(most) / (most[-1].at - start),
        last=found[-1].at - start,
        processor_seconds=meter.used_by(most[-1].at) / len(most),
        waited=[t.waited for t in found],
        took=[t.took for t in timings],
        gauges=gauges,
        unjudged=sum(v not in ("correct", "incorrect") for v in verdicts[True]),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def poisoned(
    name: str,
    poison: Callable[[random.Random], Case],
    count: int,
    repeats: int,
    workers: int,
    limit: float,
) -> None:
    """Print one row: good answers alone, and with poisoned ones among them."""
    r = random.Random(f"{name} {count}")
    pairs = []
    for _ in range(repeats):
        goods = [good(r) for _ in range(round(count * (1 - SHARE)))]
        poisons = [poison(r) for _ in range(round(count * SHARE))]
        alone = run(goods, [], workers, limit)
        # The poisoned answers of a batch would take minutes to overrun one after the other.
        within = max(PATIENCE * alone.last, 10 * limit)
        pairs.append((alone, run(goods, poisons, workers, limit, within)))
    ratios = [m.rate / a.rate for a, m in pairs]
    costs = [m.processor_seconds / a.processor_seconds for a, m in pairs]
    last = [statistics.median(p[which].last for p in pairs) for which in (0, 1)]
    took = [t for _, mixed in pairs for t in mixed.took]
    waits = [
        1000 * statistics.median(w for p in pairs for w in p[which].waited) for which in (0, 1)
    ]
    demoted, unjudged = (
        sum(m.gauges["demoted"] for _, m in pairs),
        sum(m.unjudged for _, m in pairs),
    )
    print(
        f"| {name} | {repeats} x {count} | {workers}, {limit:g} s "
        f"| {statistics.median(a.rate for a, _ in pairs):.0f} /s "
        f"| **{statistics.median(ratios):.3f}** ({min(ratios):.3f} to {max(ratios):.3f}) "
        f"| {statistics.median(costs):.3f} ({min(costs):.3f} to {max(costs):.3f}) "
        f"| {last[0]:.1f} s, {last[1]:.1f} s "
        f"| {1000 * (quantile(took, 0.99) - limit):+.0f} ms, {1000 * (max(took) - limit):+.0f} ms "
        f"| {waits[0]:.0f} ms, {waits[1]:.0f} ms | {demoted} | {unjudged} |",
        flush=True,
    )


def chaos(count: int, workers: int, limit: float) -> None:
    """Print what becomes of cases of all kinds while workers are killed."""
    r = random.Random("chaos")
    hangs, algebra = count // 20, count // 3
    cases = [poison_of_all_kinds(r) for _ in range(hangs)]
    cases += [good(r) for _ in range(algebra)]
    cases += [exact(r) for _ in range(count - hangs - algebra)]
    r.shuffle(cases)
    ended, killed = threading.Event(), list[int]()

    def kill(pool: VerificationPool) -> None:
        while len(killed) < count // 100 and not ended.wait(0.05):
            if pids := sorted(set(pool.pids()) - set(killed)):
                killed.append(r.choice(pids))
                os.kill(killed[-1], signal.SIGKILL)

    with VerificationPool(workers, limit, MEMORY_MIB) as pool:
        killer = threading.Thread(target=kill, args=(pool,))
        killer.start()
        started = time.monotonic()
        verdicts = Counter(j.verdict for j in pool.judge(cases))
        seconds = time.monotonic() - started
        ended.set()
        killer.join()
        gauges = pool.gauges()
        took = [t.took for t in pool.timings()]
    print(
        f"{count} cases, {hangs} of which hang, limit {limit:g} s, {workers} workers: "
        f"{verdicts.total()} verdicts in {seconds:.0f} s ({dict(verdicts)}); {len(killed)} workers "
        f"killed, {gauges['retries']} answers tried again. 99 % of the verdicts of workers came "
        f"within the limit {1000 * (quantile(took, 0.99) - limit):+.0f} ms. "
        f"{gauges['demoted']} answers were moved to the slow lane, {gauges['starved']} were tried "
        "again because other processes had the processor.",
        flush=True,
    )


def overhead(count: int) -> None:
    """Print what the pool adds to a comparison, and how fast exact answers are."""
    r = random.Random("overhead")
    cases = [good(r) for _ in range(count)]
    with VerificationPool(1, 60.0, MEMORY_MIB) as pool:
        pool.judge([Case(("x+1",), response("1+x"))])
        started = time.monotonic()
        pool.judge(cases)
        pooled = time.monotonic() - started
        plain = [exact(r) for _ in range(20_000)]
        started = time.monotonic()
        pool.judge(plain)
        exactly = time.monotonic() - started
    warm()
    started = time.monotonic()
    for case in cases:
        found = settle(case.golds, case.output)
        if isinstance(found, Open):
            decide(found.golds, found.answer)
    here = time.monotonic() - started
    print(
        f"{count} answers that take a worker: {1000 * pooled / count:.2f} ms each through a pool "
        f"of one worker, {1000 * here / count:.2f} ms in this process (ratio "
        f"{pooled / here:.2f}). Exact answers through the pool: {20_000 / exactly:.0f} /s.",
        flush=True,
    )


def main() -> None:
    """Run everything; prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="answers in a batch with poison")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chaos", type=int, default=10_000, help="cases while workers are killed")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1.0, help="seconds for one answer")
    given = parser.parse_args()
    print("| " + " | ".join(HEADINGS) + " |\n|" + " --- |" * len(HEADINGS))
    settings = (given.count, given.repeats, given.workers, given.limit)
    poisoned("of three kinds", poison_of_few_kinds, *settings)
    poisoned("no two alike", poison_of_all_kinds, *settings)
    print()
    overhead(1000)
    print()
    chaos(given.chaos, 2, given.limit)
    machine = describe_machine()
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"\nMachine: {machine['cores']} cores of {machine['cpu']}, load at the end {load}.")


if __name__ == "__main__":
    main()
