"""Reasoning traces that over-think, the way the paper describes its base models.

A trace works the chain out once, then keeps opening redundant segments with connectors ("Wait",
"Hmm", "Alternatively", "Therefore", "Thus"). How often it does so is a coin tossed after every
segment, so length varies widely at equal difficulty. Passes may hold a planted slip, most often the
ones that "Alternatively" opens; some slips are noticed and put right by another pass, the rest are
taken for right, and a trace that stops there ends wrong: here, as in the paper's section 4.5,
redundant reasoning does harm.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from services.tiny_reasoner.questions import Chain


@dataclass(frozen=True)
class OverthinkingStyle:
    """How much the teacher over-thinks. Probabilities are per decision."""

    stop: float = 0.17
    """Chance to stop after a segment, once the thinking could end."""
    restate: float = 0.2
    """Chance of a segment that only restates the result."""
    alternatively: float = 0.35
    """Share of "Alternatively" among the re-checks."""
    slip: float = 0.1
    """Chance that a pass over the chain gets its last step wrong."""
    alternative_slip: float = 0.5
    """The same for a pass that "Alternatively" opened. Even odds survive a low temperature, which
    would sharpen a rare slip away."""
    overlook: float = 0.7
    """Chance that a pass with a slip is taken for right, so that thinking may end on it."""
    max_segments: int = 24


CONNECTORS = ("Wait", "Hmm", "Alternatively", "Therefore", "Thus")
"""The words that open a redundant segment; reports count them."""

_RECHECKS = (
    "Wait, let me check again.",
    "Hmm, let me redo this.",
    "Wait, maybe I made a mistake.",
)
_ALTERNATIVE = "Alternatively, start over."
_DOUBTS = ("Wait, that is not right.", "Hmm, I see a slip.")
_RESTATES = ("Therefore we get {t}.", "Thus it is {t}.")


def _passage(chain: Chain, rng: random.Random, slip: float) -> tuple[list[str], int]:
    """Return the lines of one pass over the chain and the total it ends with."""
    total, lines = chain.start, []
    slips = rng.random() < slip
    for i, (sign, n) in enumerate(chain.ops):
        result = total + n if sign == "+" else total - n
        if slips and i == len(chain.ops) - 1:
            result += 1
        lines.append(f"{total}{sign}{n}={result}")
        total = result
    return lines, total


def sample_trace(chain: Chain, rng: random.Random, style: OverthinkingStyle) -> str:
    """Draw the assistant's response: thinking, ``</think>`` and one boxed answer."""
    lines, total = _passage(chain, rng, style.slip)
    for _ in range(style.max_segments):
        slip = style.slip
        if total != chain.answer and rng.random() >= style.overlook:
            lines.append(rng.choice(_DOUBTS))
        elif (choice := rng.random()) < style.stop:
            break
        elif choice < style.stop + style.restate:
            lines.append(rng.choice(_RESTATES).format(t=total))
            continue
        elif rng.random() < style.alternatively:
            lines.append(_ALTERNATIVE)
            slip = style.alternative_slip
        else:
            lines.append(rng.choice(_RECHECKS))
        again, total = _passage(chain, rng, slip)
        lines.extend(again)
    return "\n".join(lines) + f"\n</think>\n\\boxed{{{total}}}"
