"""How fast answers are judged: ``python -m benchmarks.verification_speed``.

Plain numbers through the in-process path, and the mixed answers of the tests (and of the file of
cases in ``LACONIC_SHARED_DATA``, if it is there) through everything in one warm process; both
beside bare math-verify. Times are processor seconds of one core. Prints the figures of
``benchmarks/results/verification_speed.md``.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import logging
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.verification.settle import Open, Settled, settle
from services.verification.symbolic import decide, warm
from tests.unit.adversarial_answers import CASES

THINKING = "Multiply the rates: $12 \\cdot 7 = 84$; {half} of it is $\\frac{84}{2} = 42$. Wait. "
SENTENCE = (
    "Adding the two parts we found above, and simplifying the fraction to lowest terms, gives the "
    "total that was asked for.\n\n**Final Answer**\n\\[\n\\boxed{%s}\n\\]"
)
TOO_SLOW = ("robust",)
"""Categories of the shared file that are there to hang a verifier: they need a pool."""

SMALLEST_CACHE = 20
"""Smaller ones hold compiled patterns and the like."""


@dataclass(frozen=True)
class Item:
    """One response and its accepted answers; ``right`` is None where nobody says."""

    golds: tuple[str, ...]
    output: str
    right: bool | None = None


def response(answer: str) -> str:
    """Return some 2 kB of thinking and 200 characters of answer."""
    return f"<think>\n{THINKING * 24}\n</think>\n\n{SENTENCE % answer}"


def plain(count: int) -> list[Item]:
    """Draw plain numeric answers, four in ten of them right; no two responses are the same."""
    rng = random.Random(0)
    spellings: list[Callable[[int], str]] = [
        str,
        lambda n: f"{n:,}",
        lambda n: f"{n}.{rng.randint(0, 99):02}",
        lambda n: rf"\frac{{{n}}}{{{rng.randint(2, 99)}}}",
        lambda n: rf"{n}\text{{ cm}}",
    ]
    items = []
    for i in range(count):
        gold = str(rng.randint(0, 10**6))
        answer = gold if rng.random() < 0.4 else rng.choice(spellings)(rng.randint(0, 10**7))
        items.append(Item((gold,), response(answer).replace("Wait", f"Wait {i}", 1)))
    return items


def mixed() -> list[Item]:
    """Return the answers of the tests: half of them need algebra or tricks."""
    return [Item((c.gold,), response(c.answer), c.paid == "both") for c in CASES]


def shared() -> list[Item]:
    """Return the cases of the shared file that no verifier hangs on; none without the file."""
    folder = Path(os.environ.get("LACONIC_SHARED_DATA", "../shared/data"))
    file = folder / "verifier_cases.jsonl"
    if not file.exists():
        print(f"(no file of cases at {file})")
        return []
    cases = [json.loads(line) for line in file.read_text().splitlines()]
    return [
        Item(
            tuple(c["gold"]) if isinstance(c["gold"], list) else (c["gold"],),
            c["output"],
            None if c.get("either") else c["expected"] == "correct",
        )
        for c in cases
        if c["category"] not in TOO_SLOW
    ]


def ours(item: Item) -> bool:
    """Judge as a verification worker does."""
    found = settle(item.golds, item.output)
    if isinstance(found, Open):
        return decide(found.golds, found.answer).verdict == "correct"
    return found.verdict == "correct"


def bare(item: Item) -> bool:
    """Judge with math-verify as its read-me shows it."""
    from math_verify import parse, verify

    answer = parse(item.output)
    return any(verify(parse(f"${g}$"), answer) for g in item.golds)


def settled(item: Item) -> bool:
    """Judge in this process alone, as plain numbers are."""
    return isinstance(settle(item.golds, item.output), Settled)


def timed(judge: Callable[[Item], bool], items: Sequence[Item]) -> tuple[list[float], int]:
    """Return the seconds of each item, and how many were judged wrongly."""
    seconds, wrong = [], 0
    for item in items:
        started = time.process_time()
        try:
            found = judge(item)
        except Exception:
            found = False
        seconds.append(time.process_time() - started)
        wrong += item.right is not None and found != item.right
    return seconds, wrong


def forget() -> None:
    """Empty every cache of texts, so that no answer is known from the round before."""
    for cached in gc.get_objects():
        if isinstance(cached, functools._lru_cache_wrapper):
            of_texts = (cached.cache_parameters()["maxsize"] or 0) >= SMALLEST_CACHE
            if of_texts and cached.__module__.startswith(("services.verification", "math_verify")):
                cached.cache_clear()


def row(name: str, items: Sequence[Item], rounds: int) -> Iterator[str]:
    """Measure a set with both, and yield its line of the table."""
    best: dict[str, list[float]] = {}
    wrong = {}
    for _ in range(rounds):
        for label, judge in (("ours", ours), ("bare", bare)):
            forget()
            seconds, wrong[label] = timed(judge, items)
            best[label] = [min(p) for p in zip(best.get(label, seconds), seconds, strict=True)]
    for label in ("ours", "bare"):
        times = sorted(best[label])
        who = "this verifier" if label == "ours" else "math-verify"
        ratio = statistics.median(best["bare"]) / statistics.median(times)
        yield (
            f"| {name} | {who} | {len(times)} | {1e3 * statistics.median(times):.3f} | "
            f"{1e3 * statistics.fmean(times):.3f} | {1e3 * times[int(0.99 * len(times))]:.2f} | "
            f"{wrong[label]} | {ratio:.1f} |"
        )


def throughput(count: int, rounds: int) -> str:
    """Return the line about plain numbers: verdicts a second on one core."""
    items = plain(count)
    rates = []
    for _ in range(rounds):
        forget()
        started = time.process_time()
        undecided = sum(not settled(item) for item in items)
        rates.append(count / (time.process_time() - started))
        assert not undecided
    few = items[:: max(1, count // 200)]
    slow = statistics.fmean(timed(bare, few)[0])
    best = max(rates)
    return (
        f"Plain numbers, {count} distinct responses of {len(items[0].output)} characters: "
        f"{best:,.0f} verdicts a second on one core (worst round {min(rates):,.0f}); math-verify "
        f"{1 / slow:,.0f}, a ratio of {best * slow:,.0f}."
    )


def machine() -> str:
    """Name the processor and the Python that the figures are of."""
    with open("/proc/cpuinfo") as f:
        model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), "")
    return f"{os.cpu_count()} cores of {model or platform.machine()}, {platform.python_version()}"


def main() -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", type=int, default=20_000, help="how many plain answers")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the best of each counts")
    arguments = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    warm()
    bare(Item(("1",), response("1")))
    print(throughput(arguments.plain, arguments.rounds), end="\n\n")
    print("| answers | judged by | number | median, ms | mean, ms | 99 %, ms | wrong | times |")
    print("|---|---|---|---|---|---|---|---|")
    for name, items in (("of the tests", mixed()), ("of the shared file", shared())):
        if items:
            print(*row(name, items, arguments.rounds), sep="\n", flush=True)
    print(f"\nMachine: {machine()}.")


if __name__ == "__main__":
    main()
