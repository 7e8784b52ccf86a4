"""Rewards of single responses, and whether a response is trained on at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Integer

from algorithms.arrays import Array
from algorithms.objectives import Compress, Explore, MeasuredLength, Repetition
from algorithms.shaping import shape
from algorithms.trajectory import Verdict

Disposition = Literal[
    "train",
    "truncated",
    "incorrect",
    "unparsable",
    "zero_advantage",
    "verifier_timeout",
    "verifier_error",
]
"""``train``, or the reason why the response is excluded."""

_UNJUDGED: dict[Verdict, Disposition] = {
    "timeout": "verifier_timeout",
    "error": "verifier_error",
}
"""Verdicts that say something about the verifier and nothing about the response."""


@dataclass(frozen=True)
class ResponseFacts:
    """What rewards depend on, one entry for each of the ``G`` responses of a group."""

    verdict: tuple[Verdict, ...]
    length: Integer[Array, " G"]
    """Response tokens: think, answer and end token (docs/method.md)."""
    think_length: Integer[Array, " G"]
    """Those up to and with ``</think>``."""
    finished: Bool[Array, " G"]
    """Ended by the end token, not by the generation cap."""
    well_formed: Bool[Array, " G"]
    """Exactly one ``</think>``, then exactly one non-empty box."""
    repetition: Float32[Array, " G"] | None = None
    """Repetition rate of the tokens; None where the objective does not ask for it."""

    def __post_init__(self) -> None:
        sizes = {
            "verdict": len(self.verdict),
            "length": len(self.length),
            "think_length": len(self.think_length),
            "finished": len(self.finished),
            "well_formed": len(self.well_formed),
        }
        if self.repetition is not None:
            sizes["repetition"] = len(self.repetition)
        if len(set(sizes.values())) > 1:
            raise ValueError(f"response facts differ in size: {sizes}; each needs one per response")

    def measured(self, what: MeasuredLength) -> Integer[Array, " G"]:
        """Return the length that ``what`` names, shape [G]."""
        lengths: dict[MeasuredLength, Integer[Array, " G"]] = {
            "response": self.length,
            "think": self.think_length,
            "answer": self.length - self.think_length,
        }
        return lengths[what]


@dataclass(frozen=True)
class GroupRewards:
    """Rewards of one group; responses that are not judged have reward 0 in every component."""

    reward: Float32[Array, " G"]
    components: dict[str, Float32[Array, " G"]]
    disposition: tuple[Disposition, ...]

    @property
    def trained(self) -> Bool[Array, " G"]:
        """Responses that enter the loss."""
        return np.array([d == "train" for d in self.disposition], dtype=np.bool_)


def compress_rewards(objective: Compress, facts: ResponseFacts) -> GroupRewards:
    """Return ``R(y) = 1[correct] f(|y|)``, and 0 beyond the length clip (E3, E6).

    ``f`` is the shaping the objective names, of the length it measures.

    A response counts as truncated if it is longer than L or has no end token, even with a boxed
    answer in it. Only responses with R > 0 are trained on (E4); the others are excluded as
    ``truncated``, ``incorrect`` or ``unparsable``, or ``verifier_*`` where no verdict was reached.
    """
    truncated = (facts.length > objective.length_clip) | ~facts.finished
    disposition = tuple(
        _compress_disposition(verdict, bool(cut))
        for verdict, cut in zip(facts.verdict, truncated, strict=True)
    )
    positive = np.array([d == "train" for d in disposition], dtype=np.bool_)
    measured = np.minimum(facts.measured(objective.measured_length), objective.length_clip)
    shaped = shape(objective.shaping, measured, objective.length_clip, objective.r)
    reward = np.where(positive, shaped, 0.0).astype(np.float32)
    return GroupRewards(reward, {"shaped_answer": reward}, disposition)


def _compress_disposition(verdict: Verdict, truncated: bool) -> Disposition:
    if verdict in _UNJUDGED:
        return _UNJUDGED[verdict]
    if truncated:
        return "truncated"
    if verdict == "correct":
        return "train"
    return "incorrect" if verdict == "incorrect" else "unparsable"


def explore_rewards(objective: Explore, facts: ResponseFacts) -> GroupRewards:
    """Return ``R = R_format + R_answer + R_length`` (E9).

    * ``format``: paid for a well-formed response that ends with the end token.
    * ``answer``: paid for a correct answer; needs the end token too, for a response cut at the cap
      is unfinished whatever its text holds (docs/method.md). What is wrong or cut off, and what has
      no readable answer, may cost something.
    * ``length``: ``-penalty`` per ``length_unit`` tokens beyond the threshold, linear or for each
      whole unit, never below the floor; of every response, unless only correct ones pay (E10,
      docs/method.md).
    * ``repetition``, if the objective has it: ``-weight (rate - threshold) / (1 - threshold)`` for
      a repetition rate above the threshold (:func:`algorithms.repetition.repetition_rate`).

    Every judged response is trained on; ``verifier_*`` responses have reward 0 and are excluded.
    """
    disposition: tuple[Disposition, ...] = tuple(_UNJUDGED.get(v, "train") for v in facts.verdict)
    judged = np.array([d == "train" for d in disposition], dtype=np.bool_)
    correct = np.array([v == "correct" for v in facts.verdict], dtype=np.bool_) & facts.finished
    unparsable = np.array([v == "unparsable" for v in facts.verdict], dtype=np.bool_)
    excess = np.maximum(facts.length.astype(np.float64) - objective.length_threshold, 0.0)
    units = excess / objective.length_unit
    if objective.length_form == "stepwise":
        units = np.floor(units)
    penalty = -objective.length_penalty * units
    answer = np.where(unparsable, objective.unparsable_reward, objective.incorrect_reward)
    pays = correct if objective.length_of == "correct" else judged
    parts = {
        "format": objective.format_reward * (facts.well_formed & facts.finished),
        "answer": np.where(correct, objective.answer_reward, answer),
        "length": np.where(pays, np.maximum(penalty, objective.length_floor), 0.0),
    }
    if objective.repetition is not None:
        parts["repetition"] = _repetition_reward(objective.repetition, facts)
    parts = {name: np.where(judged, part, 0.0) for name, part in parts.items()}
    # Summed in float64 and rounded once: equal responses get bitwise equal rewards.
    total = np.sum(list(parts.values()), axis=0).astype(np.float32)
    components = {name: part.astype(np.float32) for name, part in parts.items()}
    return GroupRewards(total, components, disposition)


def _repetition_reward(settings: Repetition, facts: ResponseFacts) -> Float64[Array, " G"]:
    if facts.repetition is None:
        raise ValueError("the objective rewards repetition, and the facts have no repetition rate")
    excess = np.maximum(facts.repetition.astype(np.float64) - settings.threshold, 0.0)
    return -settings.weight * excess / (1.0 - settings.threshold)
