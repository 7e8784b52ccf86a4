"""A run that took place (``docs/results/runs``), told to the store the way its driver would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = next(
    Path(__file__).parents[4].glob("docs/results/runs/ablate-separated-0-*.json"),
)
RUN: dict[str, Any] = json.loads(FILE.read_text())
STEPS: list[dict[str, Any]] = RUN["steps"]
EVALUATIONS: dict[str, dict[str, Any]] = RUN["evaluations"]
COMPRESSION = 26
"""Steps of the first stage, of the preset ``tiny-cpu`` as of the run."""
IDLE = {
    **dict.fromkeys(("pending", "generating", "verifying", "leased", "leases"), 0),
    **dict.fromkeys(("ready", "trained", "excluded", "work_queued", "work_out"), 0),
}


def record_of(step: int) -> dict[str, Any]:
    """The record of one step: what the file kept of it, and the rest in its proportions."""
    kept = STEPS[step - 1]
    compressing = kept["stage"] == "compression"
    generated = 256 * step
    excluded = sum(256 - s["routed"]["compress"] for s in STEPS[: min(step, COMPRESSION)])
    return {
        **kept,
        "cycle": 1,
        "stage_step": step if compressing else step - COMPRESSION,
        "entropy": kept["entropy_untempered"] * (0.45 if compressing else 1.0),
        "response_length_median": kept["response_length_mean"] * 0.86,
        "truncated_ratio": 0.02,
        "tokens_per_second": 1234.5,
        "policy_version": step,
        "seconds": {"generate": 4.2, "verify": 0.1, "train": 3.9, "sync": 0.1, "total": 8.3},
        "samples": {
            "generated": generated,
            "trained": generated - excluded,
            "excluded": {"not_positive": excluded},
            "in_flight": 0,
        },
    }


class RecordedRun:
    """Tells the store of ``plane`` about the run, a step at a time."""

    def __init__(self, plane, job: str, attempt: int = 1) -> None:
        self.store, self.job, self.attempt, self.last = plane.store, job, attempt, 0

    def progress(self, phase: str, **replay: int) -> None:
        compressing = self.last < COMPRESSION
        self.store.heartbeat(
            self.job,
            self.attempt,
            {
                "stage": "compression" if compressing else "exploration",
                "stage_index": 0 if compressing else 1,
                "cycle": 1,
                "step": self.last,
                "total_steps": len(STEPS),
                "stage_step": self.last if compressing else self.last - COMPRESSION,
                "stage_steps": COMPRESSION if compressing else len(STEPS) - COMPRESSION,
                "phase": phase,
                "eta_seconds": 9.0 * (len(STEPS) - self.last),
                "replay": {**IDLE, "trained": 32 * self.last, **replay},
            },
        )

    def evaluate(self, label: str) -> None:
        found = EVALUATIONS[label]
        text = f"{label}: accuracy {100 * found['accuracy']:.1f} %"
        self.event("evaluation", text, found)

    def event(self, kind: str, message: str, data: dict[str, Any], level: str = "info") -> None:
        self.store.append_event(
            self.job, kind, message, data=data, level=level, attempt=self.attempt
        )

    def begin(self) -> RecordedRun:
        self.progress("evaluate")
        self.evaluate("base")
        self.progress("generate", generating=32)
        return self

    def go_to(self, step: int) -> RecordedRun:
        """Run up to and including ``step``, with what happens at the end of a stage."""
        while self.last < step:
            self.last += 1
            self.store.append_metrics(self.job, self.attempt, self.last, record_of(self.last))
            if self.last == COMPRESSION:
                self.end_stage("compression", "exploration")
            if self.last == len(STEPS):
                self.end_stage("exploration", None)
        if self.last < len(STEPS):
            self.progress("generate", generating=32)
        return self

    def end_stage(self, label: str, to: str | None) -> None:
        text = f"stage {label} ended" + (f", {to} begins" if to else "") + " (steps)"
        self.event("stage", text, {"from": label, "to": to, "cause": "steps", "evidence": {}})
        self.event("checkpoint", f"checkpoint of step {self.last}", {"step": self.last})
        self.evaluate(label)

    def succeed(self) -> RecordedRun:
        self.go_to(len(STEPS))
        self.progress("done")
        self.store.set_state(self.job, "succeeded", attempt=self.attempt)
        return self
