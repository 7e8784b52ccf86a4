"""From a verified group to what the learner needs: advantages and loss settings, no objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32

from algorithms.advantages import absolute, group_relative
from algorithms.arrays import Array
from algorithms.objectives import Aggregation, Compress, Explore
from algorithms.rewards import (
    Disposition,
    GroupRewards,
    ResponseFacts,
    compress_rewards,
    explore_rewards,
)
from algorithms.trajectory import Judgement, TrajectoryGroup, Verdict

SCHEMA = 1
"""Version of the column layout; readers refuse what they do not know."""

Normaliser = Literal["all", "positives"]
"""Denominator of the mean: every judged sequence of the mini-batch, or the trained ones."""


@dataclass(frozen=True)
class ScoredGroup:
    """Rewards and advantages of the ``G`` responses of a group, with the loss they feed.

    The loss settings ride on the sample, so the learner never sees an objective.
    """

    group_id: str
    verdicts: tuple[Verdict, ...]
    dispositions: tuple[Disposition, ...]
    """``train``, or the reason for exclusion."""
    rewards: Float32[Array, " G"]
    advantages: Float32[Array, " G"]
    """0 for every excluded response."""
    components: dict[str, Float32[Array, " G"]]
    zero_advantage: bool
    """No response of the group has an advantage, so the group has no gradient."""
    aggregation: Aggregation
    normaliser: Normaliser
    clip_low: float
    clip_high: float

    @property
    def size(self) -> int:
        """G."""
        return len(self.dispositions)

    @property
    def trained(self) -> Bool[Array, " G"]:
        """Responses that enter the loss."""
        return np.array([d == "train" for d in self.dispositions], dtype=np.bool_)

    def columns(self) -> dict[str, Any]:
        """Return plain arrays and built-in types: no class of ours goes over the wire."""
        return {"schema": SCHEMA, **self.__dict__}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> ScoredGroup:
        """Read what :meth:`columns` wrote.

        Raises:
            ValueError: the columns are of a schema this version does not know.
        """
        if columns.get("schema") != SCHEMA:
            raise ValueError(f"scored group schema {columns.get('schema')!r}, expected {SCHEMA}")
        return cls(**{k: v for k, v in columns.items() if k != "schema"})


def response_facts(group: TrajectoryGroup, judgements: Sequence[Judgement]) -> ResponseFacts:
    """Join a group with the verifier's findings, in the order of the responses.

    Raises:
        ValueError: there is not exactly one judgement for each response.
    """
    if len(judgements) != group.size:
        raise ValueError(
            f"group {group.group_id} has {group.size} responses but {len(judgements)} judgements; "
            "every response needs one, a timeout included"
        )
    return ResponseFacts(
        verdict=tuple(j.verdict for j in judgements),
        length=group.lengths,
        finished=np.array([f == "stop" for f in group.finish_reasons], dtype=np.bool_),
        well_formed=np.array([j.well_formed for j in judgements], dtype=np.bool_),
    )


def score_group(
    objective: Compress | Explore, group: TrajectoryGroup, judgements: Sequence[Judgement]
) -> ScoredGroup:
    """Give every response of a group its reward, advantage and disposition.

    Compression: R of E3 and E6 with ``A = beta R`` (E5). Exploration: R of E9 and E10 with the
    group-relative advantage (E8).

    Raises:
        ValueError: there is not exactly one judgement for each response.
    """
    facts = response_facts(group, judgements)
    rewards: GroupRewards
    normaliser: Normaliser
    if isinstance(objective, Compress):
        rewards = compress_rewards(objective, facts)
        advantages = absolute(objective.beta, rewards.reward)
        normaliser = objective.normaliser
    else:
        rewards = explore_rewards(objective, facts)
        advantages = group_relative(rewards.reward, rewards.trained)
        normaliser = "all"
    return ScoredGroup(
        group_id=group.group_id,
        verdicts=facts.verdict,
        dispositions=rewards.disposition,
        rewards=rewards.reward,
        advantages=advantages,
        components=rewards.components,
        zero_advantage=not bool(np.any(advantages)),
        aggregation=objective.aggregation,
        normaliser=normaliser,
        clip_low=objective.loss.clip_low,
        clip_high=objective.loss.clip_high,
    )
