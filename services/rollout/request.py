"""What a generator is asked for."""

from __future__ import annotations

from algorithms.strict import Strict
from services.verification.tolerance import Tolerance


class Decoding(Strict):
    """How responses are drawn; the subset of sampling that a generator needs."""

    temperature: float
    top_p: float = 1.0
    max_tokens: int
    group_size: int
    logprobs: bool = True
    """Whether behaviour log-probabilities are kept (training) or not (evaluation)."""


class RolloutRequest(Strict):
    """One prompt to be answered ``group_size`` times."""

    group_id: str
    question_id: str
    prompt: str
    """User message; the engine applies the model's chat template."""
    gold: tuple[str, ...]
    seed: int
    """Seed of the group's first response; the others follow from it."""
    tolerance: Tolerance | None = None
    """How far a number may lie from an accepted answer; the verifier's to use."""
