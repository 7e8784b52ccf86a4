"""From a verified group to what the learner needs: advantages and loss settings, no objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32

from algorithms.advantages import absolute, relative
from algorithms.arrays import Array
from algorithms.objectives import Aggregation, Compress, Entangled, Explore, Objective
from algorithms.repetition import repetition_rate
from algorithms.rewards import (
    Disposition,
    GroupRewards,
    ResponseFacts,
    compress_rewards,
    explore_rewards,
)
from algorithms.routing import Route, route
from algorithms.trajectory import Judgement, TrajectoryGroup, Verdict

SCHEMA = 2
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
    route: Route
    """What the group is trained for."""
    aggregation: Aggregation
    token_norm: int
    normaliser: Normaliser
    loss: Mapping[str, Any]
    """Fields of an :data:`algorithms.policy_loss_settings.PolicyLoss`."""

    @property
    def size(self) -> int:
        """G."""
        return len(self.dispositions)

    @property
    def trained(self) -> Bool[Array, " G"]:
        """Responses that enter the loss."""
        return np.array([d == "train" for d in self.dispositions], dtype=np.bool_)

    @property
    def has_gradient(self) -> Bool[Array, " G"]:
        """Responses that pull on the weights: those with an advantage, and with a KL or entropy
        term every one that enters the loss."""
        terms = bool(self.loss["kl_coefficient"] or self.loss["entropy_coefficient"])
        pulled: Bool[Array, " G"] = self.trained & ((self.advantages != 0) | terms)
        return pulled

    def select(self, members: Sequence[int]) -> ScoredGroup:
        """Return the group with some of its responses only."""
        chosen = list(members)
        return replace(
            self,
            verdicts=tuple(self.verdicts[i] for i in chosen),
            dispositions=tuple(self.dispositions[i] for i in chosen),
            rewards=self.rewards[chosen],
            advantages=self.advantages[chosen],
            components={name: part[chosen] for name, part in self.components.items()},
        )

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


def response_facts(
    group: TrajectoryGroup, judgements: Sequence[Judgement], ngram: int | None = None
) -> ResponseFacts:
    """Join a group with the verifier's findings, in the order of the responses.

    Args:
        ngram: tokens in a row whose repetition is measured; None measures none.

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
        think_length=group.think_lengths,
        finished=np.array([f == "stop" for f in group.finish_reasons], dtype=np.bool_),
        well_formed=np.array([j.well_formed for j in judgements], dtype=np.bool_),
        repetition=None if ngram is None else _repetition(group, ngram),
    )


def _repetition(group: TrajectoryGroup, ngram: int) -> Float32[Array, " G"]:
    responses = np.split(group.response_ids, group.offsets[1:-1])
    return np.array([repetition_rate(r.tolist(), ngram) for r in responses], dtype=np.float32)


def _ngram(objective: Objective) -> int | None:
    """The repetition that an objective asks for."""
    part = objective.explore if isinstance(objective, Entangled) else objective
    return part.repetition.n if isinstance(part, Explore) and part.repetition else None


def score_groups(
    objective: Objective,
    groups: Sequence[TrajectoryGroup],
    judgements: Sequence[Sequence[Judgement]],
) -> list[ScoredGroup]:
    """Give every response of a rollout batch its reward, advantage and disposition.

    * Compression: R of E3 and E6 with ``A = beta R`` (E5).
    * Exploration: R of E9 and E10 with the relative advantage (E8).
    * Entangled: each group as one of the two, see :func:`algorithms.routing.route`.

    Args:
        objective: of the stage that drew the groups.
        groups: all groups of the batch, so that batch statistics mean what they say.
        judgements: for each group one for each response.

    Raises:
        ValueError: there is not exactly one judgement for each response.
    """
    facts = [
        response_facts(g, j, _ngram(objective)) for g, j in zip(groups, judgements, strict=True)
    ]
    parts = [_part(objective, f) for f in facts]
    rewards = [
        compress_rewards(part, f) if isinstance(part, Compress) else explore_rewards(part, f)
        for part, f in zip(parts, facts, strict=True)
    ]
    advantages = _advantages(parts, rewards)
    return [
        _scored(*columns) for columns in zip(parts, groups, facts, rewards, advantages, strict=True)
    ]


def _part(objective: Objective, facts: ResponseFacts) -> Compress | Explore:
    """The rules for one group."""
    if not isinstance(objective, Entangled):
        return objective
    return objective.compress if route(objective, facts) == "compress" else objective.explore


def _advantages(
    parts: Sequence[Compress | Explore], rewards: Sequence[GroupRewards]
) -> list[Float32[Array, " _"]]:
    advantages = [np.zeros(0, dtype=np.float32)] * len(parts)
    explored: list[int] = []
    for i, (part, r) in enumerate(zip(parts, rewards, strict=True)):
        if isinstance(part, Compress):
            advantages[i] = absolute(part.beta, r.reward)
        else:
            explored.append(i)
            normalisation = part.normalisation
    if explored:
        chosen = [rewards[i] for i in explored]
        found = relative([r.reward for r in chosen], [r.trained for r in chosen], normalisation)
        for i, values in zip(explored, found, strict=True):
            advantages[i] = values
    return advantages


def _scored(
    part: Compress | Explore,
    group: TrajectoryGroup,
    facts: ResponseFacts,
    rewards: GroupRewards,
    advantages: Float32[Array, " G"],
) -> ScoredGroup:
    silent = not bool(np.any(advantages))
    dispositions = rewards.disposition
    if silent and isinstance(part, Explore) and part.zero_advantage == "drop":
        dispositions = tuple("zero_advantage" if d == "train" else d for d in dispositions)
    return ScoredGroup(
        group_id=group.group_id,
        verdicts=facts.verdict,
        dispositions=dispositions,
        rewards=rewards.reward,
        advantages=advantages,
        components=rewards.components,
        zero_advantage=silent,
        route="compress" if isinstance(part, Compress) else "accuracy",
        aggregation=part.aggregation,
        token_norm=part.token_norm,
        normaliser=part.normaliser if isinstance(part, Compress) else "all",
        loss=part.loss.model_dump(mode="json"),
    )
