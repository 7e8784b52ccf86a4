"""Which half of the entangled objective a group feeds (EE, paper section 4.3)."""

from __future__ import annotations

from typing import Literal

from algorithms.objectives import Entangled
from algorithms.rewards import ResponseFacts
from algorithms.trajectory import JUDGED, is_correct

Route = Literal["compress", "accuracy"]
"""What a sample is trained for; the two counts of figure 3a."""


def route(objective: Entangled, facts: ResponseFacts) -> Route:
    """Return where a group goes: compressed if at least ``threshold`` of its answers are correct.

    The share is over the responses that the verifier judged. The length clip plays no part: a
    correct answer beyond it counts as correct here. A group without a judged response goes to
    ``accuracy``, where it has no gradient.
    """
    judged = [
        is_correct(verdict, bool(finished))
        for verdict, finished in zip(facts.verdict, facts.finished, strict=True)
        if verdict in JUDGED
    ]
    return "compress" if judged and sum(judged) >= objective.threshold * len(judged) else "accuracy"
