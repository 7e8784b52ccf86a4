"""What the analysis of tokens and gradients costs: ``python -m benchmarks.analysis_cost REPORT``.

Compares the steps that were sampled for analysis with the steps next to them, in the
``report.json`` of one run, and prints the share of the time of all steps that analysis took, and
would take at its default sampling.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.excess import excess
from services.spec.job import AnalysisSpec


@dataclass(frozen=True)
class Cost:
    """Seconds that a sampled step takes beyond its neighbours, and seconds of a usual step."""

    extra: float
    step: float
    sampled: int

    def share(self, every_steps: int) -> float:
        """Return analysis over the rest of the time, were every so many steps sampled."""
        return self.extra / (self.step * every_steps)


def cost(steps: Sequence[Mapping[str, Any]], every_steps: int) -> Cost:
    """Compare the training seconds of sampled steps with the median of their neighbours'.

    Raises:
        SystemExit: no sampled step has a neighbour in its stage.
    """
    extras = excess(steps, lambda step: step["step"] % every_steps == 0, "train")
    if not extras:
        raise SystemExit("no step was sampled for analysis; set analysis.every_steps")
    usual = [s["seconds"]["total"] for s in steps if s["step"] % every_steps]
    return Cost(statistics.fmean(extras), statistics.fmean(usual), len(extras))


def main() -> None:
    """Print one line for each report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path, help="report.json of a job")
    default = AnalysisSpec().every_steps
    for file in parser.parse_args().reports:
        report = json.loads(file.read_text())
        analysis = report["spec"]["analysis"]
        if analysis is None:
            raise SystemExit(f"{file}: the job ran without analysis")
        every = analysis["every_steps"]
        found = cost(report["steps"], every)
        print(
            f"{report['job']['name']}: {found.sampled} sampled steps, {found.extra:.2f} s beyond "
            f"a step's {found.step:.2f} s; {100 * found.share(every):.1f} % at every {every} "
            f"steps, {100 * found.share(default):.1f} % at the default of {default}"
            f"{', gradients compared' if analysis['conflict'] else ''}"
        )
        print(f"machine: {json.dumps(report['machine'])}")


if __name__ == "__main__":
    main()
