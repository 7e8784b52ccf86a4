"""What poisoned answers cost the others: ``python -m benchmarks.verification_pool``.

All figures are of one run on one machine. Answers are judged with and without poisoned ones among
them, in turns, so that a load that comes and goes falls on both.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.verification.case import Case
from services.verification.pool import VerificationPool

MEMORY_MIB = 1024
CaseMaker = Callable[[random.Random], Case]


def response(answer: str) -> str:
    """Return a response that ends in an answer."""
    return f"<think>some thoughts</think> The answer is $\\boxed{{{answer}}}$."


def good(r: random.Random) -> Case:
    """Return an answer that needs algebra, and not much of it."""
    a, b, c, d = (r.randint(2, 999) for _ in range(4))
    x, y = r.sample("xyztuvwabk", 2)
    gold, answer = r.choice(
        [
            (f"{x}^2-{a}", f"-{a}+{x}^2"),
            (f"{a}{x}+{b}{y}", f"{b}{y}+{a}{x}"),
            (rf"\frac{{{a}\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{a}}}{{{c}}}\sqrt{{{b}}}"),
            (rf"{a}\pi+{b}", rf"{b}+{a}\pi"),
            (rf"({x}-{a})({x}+{b})", rf"({x}+{b})({x}-{a})"),
            (rf"\left({a}\sqrt{{2}},{b}\right)", rf"({a}\sqrt{{2}},{b})"),
            (rf"({a}\sqrt{{3}},{b}]", rf"\left({a}\sqrt{{3}},{b + d}\right]"),
            (rf"\{{{a},{b},{c}\pi\}}", rf"\{{{c}\pi,{a},{b}\}}"),
            (rf"\frac{{{x}+{a}}}{{{y}-{b}}}", rf"\frac{{{a}+{x}}}{{{y}-{b}}}"),
            (rf"e^{{{a}{x}}}+{b}", rf"{b}+e^{{{a}{x}}}"),
            (rf"\sqrt{{{a}}}+\sqrt{{{b}}}", rf"\sqrt{{{b}}}+\sqrt{{{a}}}"),
            (rf"{a}{x}^3{y}-{b}", rf"{a}{y}{x}^3-{c}"),
        ]
    )
    return Case((gold,), response(answer))


FUNCTIONS = (r"\sin", r"\cos", r"\exp", r"\tan", r"\sinh", r"\cosh", r"\arctan")


def _integral(r: random.Random, functions: Sequence[str]) -> Case:
    x = r.choice("xtuzs")
    inner = f"{x}^{x}"
    for f in functions:
        inner = rf"{f}({inner})"
    answer = rf"\int_0^{{{r.randint(1, 4999)}}} {inner} d{x}"
    return Case((rf"\sqrt{{{r.randint(2, 10**6)}}}",), response(answer))


def poison_of_few_kinds(r: random.Random) -> Case:
    """Return an answer that overruns; it differs from others of its kind in numbers."""
    kinds = [(r"\sin",) * 6, (r"\cos", r"\cos", r"\sin", r"\exp"), (r"\exp", r"\sin", r"\cos") * 2]
    return _integral(r, r.choice(kinds))


def poison_of_all_kinds(r: random.Random) -> Case:
    """Return an answer that overruns and has hardly a part in common with others that do."""
    return _integral(r, [r.choice(FUNCTIONS) for _ in range(r.randint(5, 9))])


def exact(r: random.Random) -> Case:
    """Return an answer that needs no worker."""
    a = r.randint(2, 10**6)
    return Case((str(a),), response(str(a + r.randint(0, 1))))


@dataclass(frozen=True)
class Run:
    """One batch through a pool of its own."""

    good_rate: float
    """Good answers judged in a second, from the start to the last of them."""
    good_waited: list[float]
    took: list[float]
    gauges: dict[str, int]
    seconds: float
    wrong: int
    """Good answers without a verdict about the answer."""


def run(goods: Sequence[Case], poisons: Sequence[Case], workers: int, limit: float) -> Run:
    """Judge good and poisoned answers in random order."""
    cases = [(c, True) for c in goods] + [(c, False) for c in poisons]
    random.Random(0).shuffle(cases)
    with VerificationPool(workers, limit, MEMORY_MIB, warm=True) as pool:
        pool.judge([Case(("x+1",), response("1+x"))])
        start = time.monotonic()
        judgements = pool.judge([c for c, _ in cases])
        seconds = time.monotonic() - start
        timings = [t for t in pool.timings() if t.at >= start]
        gauges = pool.gauges()
    kept = [j.verdict for j, (_, is_good) in zip(judgements, cases, strict=True) if not is_good]
    if kept and (share := kept.count("timeout") / len(kept)) < 0.98:
        raise SystemExit(f"only {share:.0%} of the poisoned answers overran: {Counter(kept)}")
    of_good = [j.verdict for j, (_, is_good) in zip(judgements, cases, strict=True) if is_good]
    wrong = sum(v not in ("correct", "incorrect") for v in of_good)
    found = [t for t in timings if t.verdict != "timeout"]
    last = max(t.at for t in found)
    waited = [t.waited for t in found]
    rate = len(found) / (last - start)
    return Run(rate, waited, [t.took for t in timings], gauges, seconds, wrong)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def poisoned(
    name: str, poison: CaseMaker, count: int, share: float, repeats: int, workers: int, limit: float
) -> None:
    """Print one row: good answers alone, and with poisoned ones among them."""
    r = random.Random(f"{name} {count}")
    ratios, took, waits, alone_waits, rates = [], [], [], [], []
    demoted = wrong = 0
    for _ in range(repeats):
        goods = [good(r) for _ in range(round(count * (1 - share)))]
        poisons = [poison(r) for _ in range(round(count * share))]
        alone, mixed = run(goods, [], workers, limit), run(goods, poisons, workers, limit)
        ratios.append(mixed.good_rate / alone.good_rate)
        rates.append(alone.good_rate)
        took += mixed.took
        waits += mixed.good_waited
        alone_waits += alone.good_waited
        demoted += mixed.gauges["demoted"]
        wrong += mixed.wrong
    over = 1000 * (quantile(took, 0.99) - limit)
    print(
        f"| {name} | {count} x {repeats} | {statistics.median(rates):.0f}/s "
        f"| **{statistics.median(ratios):.3f}** ({min(ratios):.3f} to {max(ratios):.3f}) "
        f"| limit {over:+.0f} ms | {statistics.median(alone_waits):.2f} s, "
        f"{statistics.median(waits):.2f} s | {demoted} | {wrong} |",
        flush=True,
    )
