"""The newcomer's run over several seeds: ``python -m benchmarks.tiny_cpu --seeds 0 1 2``.

Runs ``laconic demo`` for each seed, one after another, and writes one table from the reports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "tiny_cpu.md"


def run(seed: int, home: Path) -> tuple[dict[str, Any], float]:
    """Run one seed; return its report and the seconds of the whole command."""
    started = time.monotonic()
    command = [sys.executable, "-m", "api.cli", "demo", "--home", str(home)]
    with (home / "demo.log").open("w") as log:
        command += ["--set", f"seed={seed}"]
        code = subprocess.run(command, check=False, stdout=log, stderr=subprocess.STDOUT).returncode
    if code:
        end = (home / "demo.log").read_text()[-2000:]
        sys.exit(f"the run of seed {seed} ended with {code}:\n{end}")
    seconds = time.monotonic() - started
    newest = max(home.glob("jobs/*/report/report.json"), key=lambda file: file.stat().st_mtime)
    return json.loads(newest.read_text()), seconds


def row(seed: int, report: dict[str, Any], seconds: float) -> list[str]:
    """Return the cells of one seed."""
    cells = [str(seed)]
    for label in ("base", "compression", "exploration"):
        e = report["evaluations"][label]
        low, high = e["accuracy_ci95"]
        cells.append(
            f"{100 * e['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f}), "
            f"{e['length_mean']:.1f}"
        )
    steps = report["steps"]
    first = next(s for s in steps if s["stage"] == "compression")
    last = [s for s in steps if s["stage"] == "compression"][-1]
    explored = [s for s in steps if s["stage"] == "exploration"]
    for name in ("entropy", "entropy_untempered"):
        mean = sum(s[name] for s in explored) / len(explored)
        cells.append(f"{first[name]:.3f} → {last[name]:.3f} → {mean:.3f}")
    cells.append(f"{100 * report['evaluations']['exploration']['length_ratio']:.1f} %")
    cells.append(f"{max(s['mismatch_abs_mean'] for s in steps):.1e}")
    cells.append(f"{seconds / 60:.1f}")
    cells.append(f"{report['peak_memory_bytes'] / 2**30:.2f}")
    return cells


HEADER = [
    "seed",
    "base: accuracy (95 %), length",
    "after compression",
    "after exploration",
    "entropy at the sampling temperature",
    "entropy at temperature 1",
    "length of base",
    "largest mismatch",
    "minutes",
    "GiB",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--home", type=Path, required=True)
    args = parser.parse_args()
    lines = [HEADER, ["---"] * len(HEADER)]
    machine: dict[str, Any] = {}
    for seed in args.seeds:
        home = args.home / f"seed-{seed}"
        home.mkdir(parents=True, exist_ok=True)
        report, seconds = run(seed, home)
        machine = report["machine"]
        lines.append(row(seed, report, seconds))
        print(lines[-1], flush=True)
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    RESULTS.write_text(
        "# The newcomer's run, over seeds\n\n"
        "`python -m benchmarks.tiny_cpu`. Accuracy in percent on held-out questions with its\n"
        "95 % interval, then the mean response length in tokens. Entropy in nats: first step,\n"
        "last step of compression, mean over exploration. Mismatch: largest per-step mean\n"
        "absolute difference of behaviour and learner log-probabilities. Minutes from command\n"
        "to report, without set-up; peak memory of all processes.\n\n"
        f"{table}\n\nMachine: `{json.dumps(machine)}`\n"
    )
    print(table)


if __name__ == "__main__":
    main()
