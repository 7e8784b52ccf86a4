#!/usr/bin/env python3
"""Kills control planes, stores and drivers under five clients and checks what they were told.

    .venv/bin/python scripts/check-history.py --rounds 200 --seed 0      # a night
    .venv/bin/python scripts/check-history.py --rounds 1 --seed 17       # one round again

Each round has a seed of its own, counted up from the one given. A round that fails prints it with
everything that happened to the jobs concerned, and leaves its whole history as JSON. The exit code
is 1 where a round failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.restarts.history import History
from tests.integration.restarts.history_check import Violation, check
from tests.integration.restarts.history_round import run_round
from tests.integration.restarts.machine import Machine
from tests.integration.restarts.world import BACKENDS


def main() -> int:
    parser = argparse.ArgumentParser(description="Randomised check of restarts.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--store", choices=BACKENDS, help="else both, by turns")
    parser.add_argument("--out", type=Path, help="folder of the histories; else a temporary one")
    args = parser.parse_args()
    folder = args.out or Path(tempfile.mkdtemp(prefix="laconic-history-"))
    failed = []
    began = time.monotonic()
    total: Counter[str] = Counter()
    with Machine(folder / "machine") as machine:
        for seed in range(args.seed, args.seed + args.rounds):
            backend = args.store or BACKENDS[seed % len(BACKENDS)]
            started = time.monotonic()
            try:
                history = run_round(seed, backend, machine, folder / f"round-{seed}")
            except AssertionError as error:  # something did not come back
                print(f"seed {seed} on {backend}: NOT FINISHED: {error}", flush=True)
                failed.append(seed)
                continue
            violations = check(history)
            total += Counter(what for _, what in history.kills)
            print(_line(history, violations, time.monotonic() - started), flush=True)
            if violations:
                failed.append(seed)
                history.save(folder / f"history-{seed}.json")
                _explain(history, violations)
    print(
        f"{args.rounds} rounds in {time.monotonic() - began:.0f} s, {len(failed)} failed "
        f"{failed or ''}; stopped: {dict(total)}; histories in {folder}"
    )
    return 1 if failed else 0


def _line(history: History, violations: list[Violation], seconds: float) -> str:
    outcomes = Counter(op.outcome for op in history.ops)
    return (
        f"seed {history.seed} on {history.backend}: {len(history.jobs)} jobs, "
        f"{len(history.runs)} drivers, {len(history.kills)} stops, {len(history.ops)} requests "
        f"{dict(outcomes)}, {seconds:.1f} s: "
        + (f"{len(violations)} VIOLATIONS" if violations else "fine")
    )


def _explain(history: History, violations: list[Violation]) -> None:
    for violation in violations:
        print(f"  {violation}")
    for job in dict.fromkeys(v.job for v in violations):
        print(f"  -- {job} --\n{history.of_job(job)}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
