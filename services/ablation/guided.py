"""Past the paper: entropy decides when stages change, and compression spares the connectors."""

from __future__ import annotations

from typing import Any

from services.ablation.arms import Arm, dump, rows, separated, two_stages, varied
from services.spec.job import JobSpec

SPARED = (0.5, 0.0)
"""Loss weights of high-entropy tokens tried in the compression stage; 1 is the paper."""
GUESSES = {"short": 0.5, "long": 2.0}
"""Fixed schedules whose compression is this much of the preset's, which was tuned on the task."""


def guided(spec: JobSpec) -> list[Arm]:
    """The fixed schedule against switching on an entropy plateau, against cycles and against fixed
    schedules of another length, as one guesses for a new model, all with the same number of
    generated tokens; and less weight on high-entropy tokens."""
    return [
        separated(spec, "fixed schedule"),
        plateau(spec),
        cycled(spec),
        *spared(spec),
        *guessed(spec),
    ]


def plateau(spec: JobSpec) -> Arm:
    """Compression ends when its entropy has come to rest; exploration takes what is left."""
    compress, _ = two_stages(spec)
    window = max(3, compress.steps // 4)
    first = dump(compress) | {"steps": 2 * compress.steps}
    first["until"] = [
        {
            "type": "entropy_plateau",
            "window": window,
            "smoothing": 3,
            "patience": 2,
            "slope": PLATEAU_SLOPE * 100 / compress.steps,
        }
    ]
    return _till_spent("plateau", spec, first, "until the entropy rests")


PLATEAU_SLOPE = 4e-4
"""Largest slope that counts as rest, in nats per step of a stage of 100 steps: shorter stages move
faster."""


def guessed(spec: JobSpec) -> list[Arm]:
    """Fixed schedules that were not tuned on the task; exploration takes what is left."""
    compress, _ = two_stages(spec)
    arms = []
    for name, factor in GUESSES.items():
        first = dump(compress) | {"steps": max(1, round(factor * compress.steps))}
        text = f"fixed, compression x {factor:g}"
        arms.append(_till_spent(f"fixed-{name}", spec, first, text))
    return arms


def _till_spent(name: str, spec: JobSpec, first: dict[str, Any], text: str) -> Arm:
    """A compression stage, then exploration until the tokens are spent."""
    _, explore = two_stages(spec)
    second = dump(explore) | {"steps": 2 * spec.total_steps}
    stages = {"stages": [first, second], "cycles": {"max_cycles": 1}}
    return Arm(name, varied(spec, stages), rows(spec, text), budgeted=True)


def cycled(spec: JobSpec) -> Arm:
    """Half as much of each stage, over and over."""
    stages: list[dict[str, Any]] = []
    for stage in two_stages(spec):
        stages.append(dump(stage) | {"steps": max(1, stage.steps // 2)})
    return Arm(
        "cycles",
        varied(spec, {"stages": stages, "cycles": {"max_cycles": 6}}),
        {"last": "cycles of half the length"},
        budgeted=True,
    )


def spared(spec: JobSpec) -> list[Arm]:
    """Compression that pulls less on the tokens where the policy hesitates."""
    arms = []
    for weight in SPARED:
        compress, explore = (dump(s) for s in two_stages(spec))
        compress["objective"]["loss"]["high_entropy_weight"] = weight
        changed = varied(spec, {"stages": [compress, explore]})
        arms.append(Arm(f"spared-{weight:g}", changed, rows(spec, f"weight {weight:g}")))
    return arms
