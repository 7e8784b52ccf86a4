"""What evaluations beside training cost: ``python -m benchmarks.evaluation_cost REPORT``.

Takes the ``report.json`` of a job with ``evaluation.every_steps`` and without guards. Steps that an
evaluation ran beside are compared with the steps next to them, and with what the evaluations took.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from benchmarks.excess import Step, excess


def _is_beside(step: Step) -> bool:
    return "evaluate" in step["seconds"]


def main() -> None:
    """Print one line for each report.

    Raises:
        SystemExit: no evaluation ran beside a step.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path, help="report.json of a job")
    for file in parser.parse_args().reports:
        report = json.loads(file.read_text())
        beside = [s for s in report["steps"] if _is_beside(s)]
        plain = [s for s in report["steps"] if not _is_beside(s)]
        took = [e["seconds"] for e in report["evaluations"].values()]
        extras = excess(report["steps"], _is_beside, "total")
        if not extras:
            raise SystemExit(f"{file}: no evaluation ran beside a step; set evaluation.every_steps")
        usual = statistics.fmean(s["seconds"]["total"] for s in plain)
        held_up = statistics.fmean(s["seconds"]["evaluate"] for s in beside)
        print(
            f"{report['job']['name']}: {len(extras)} evaluations beside a step. An evaluation "
            f"takes {statistics.fmean(took):.2f} s ({min(took):.2f} to {max(took):.2f}) by itself; "
            f"a step {usual:.2f} s, one with an evaluation beside it {statistics.fmean(extras):.2f}"
            f" s more, of which it waited {held_up:.2f} s."
        )
        print(f"machine: {json.dumps(report['machine'])}")


if __name__ == "__main__":
    main()
