"""From leased groups to the sequences and micro-batches of one optimiser update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor

from algorithms.batching import micro_batches, split_updates, token_weights
from algorithms.policy_loss_settings import PolicyLoss
from algorithms.scoring import ScoredGroup
from algorithms.stage import UpdateUnit
from algorithms.trajectory import JUDGED, TrajectoryGroup, is_correct

_LOSS: TypeAdapter[PolicyLoss] = TypeAdapter(PolicyLoss)


@dataclass(frozen=True)
class ScoredResponse:
    """One response as the learner sees it: no objective, only what the loss multiplies."""

    prompt: NDArray[np.int32]
    response: NDArray[np.int32]
    behaviour_logprobs: NDArray[np.float32]
    advantage: float
    weight: float
    """Weight of each of its tokens in the loss."""
    has_gradient: bool
    """Whether training on it can change anything."""
    loss: PolicyLoss
    """The surrogate it feeds."""
    think_length: int
    """Tokens of it up to and with ``</think>``."""
    correct: int
    """1 or 0, -1 where the verifier could not judge it."""
    slot: int
    """Place in its update by length; ``slot % world`` is the rank that always handles it."""

    @property
    def tokens(self) -> int:
        """Prompt and response together."""
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True)
class Update:
    """Sequences of one mini-batch."""

    sequences: tuple[ScoredResponse, ...]
    empty: bool
    """No sequence carries a gradient: the update is skipped and counted."""


Pair = tuple[TrajectoryGroup, ScoredGroup]


def build_updates(
    groups: Sequence[Pair], unit: UpdateUnit, per_update: int, seed: int
) -> list[Update]:
    """Cut a rollout batch into mini-batches of prompts, or of sequences, and weigh each."""
    if unit == "prompts":
        return [build_update(part) for part in split_updates(groups, per_update, seed)]
    members = [(g, i) for g, (t, _) in enumerate(groups) for i in range(t.size)]
    updates = []
    for part in split_updates(members, per_update, seed):
        chosen: dict[int, list[int]] = {}
        for group, member in part:
            chosen.setdefault(group, []).append(member)
        updates.append(
            build_update(
                [(groups[g][0].select(m), groups[g][1].select(m)) for g, m in chosen.items()]
            )
        )
    return updates


def build_update(groups: Sequence[Pair]) -> Update:
    """Weigh the sequences of one mini-batch."""
    weights = token_weights([s for _, s in groups], np.concatenate([t.lengths for t, _ in groups]))
    totals = np.concatenate([t.lengths + len(t.prompt_ids) for t, _ in groups])
    slots = np.argsort(np.argsort(totals, kind="stable"), kind="stable")
    rows = [(t, s, _LOSS.validate_python(s.loss), g) for t, s in groups for g in range(t.size)]
    sequences = [
        ScoredResponse(
            prompt=t.prompt_ids,
            response=t.response_ids[t.offsets[g] : t.offsets[g + 1]],
            behaviour_logprobs=t.behaviour_logprobs[t.offsets[g] : t.offsets[g + 1]],
            advantage=float(s.advantages[g]),
            weight=float(weight),
            has_gradient=bool(weight) and bool(s.has_gradient[g]),
            loss=loss,
            think_length=int(t.think_lengths[g]),
            correct=_correct(t, s, g),
            slot=int(slot),
        )
        for (t, s, loss, g), weight, slot in zip(rows, weights.weight, slots, strict=True)
    ]
    return Update(tuple(sequences), weights.empty)


def _correct(trajectory: TrajectoryGroup, scored: ScoredGroup, index: int) -> int:
    verdict = scored.verdicts[index]
    if verdict not in JUDGED:
        return -1
    return int(is_correct(verdict, trajectory.finish_reasons[index] == "stop"))


@dataclass(frozen=True)
class Batch:
    """A right-padded micro-batch; ``N`` response tokens in all."""

    input_ids: Tensor
    """[B, S]"""
    positions: Tensor
    """[N] flattened positions whose next token is scored."""
    targets: Tensor
    """[N]"""
    behaviour_logprobs: Tensor
    """[N]"""
    advantages: Tensor
    """[N]"""
    weights: Tensor
    """[N]; all zero in a batch that only keeps ranks in step."""
    sequence: Tensor
    """[N] row of the token's sequence."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch with every tensor on ``device``."""
        return Batch(**{name: value.to(device) for name, value in self.__dict__.items()})


def collate(sequences: Sequence[ScoredResponse], *, muted: bool = False) -> Batch:
    """Pad sequences to one width. ``muted`` sets every weight to zero."""
    width = max(s.tokens for s in sequences)
    input_ids = torch.zeros(len(sequences), width, dtype=torch.long)
    positions: list[NDArray[np.int64]] = []
    for row, s in enumerate(sequences):
        input_ids[row, : s.tokens] = torch.from_numpy(
            np.concatenate([s.prompt, s.response]).astype(np.int64)
        )
        first = row * width + len(s.prompt) - 1
        positions.append(np.arange(first, first + len(s.response)))
    counts = torch.tensor([len(s.response) for s in sequences])
    per_sequence = torch.tensor([[s.advantage, 0.0 if muted else s.weight] for s in sequences])
    per_token = per_sequence.repeat_interleave(counts, dim=0)
    return Batch(
        input_ids=input_ids,
        positions=torch.from_numpy(np.concatenate(positions)),
        targets=torch.from_numpy(np.concatenate([s.response for s in sequences]).astype(np.int64)),
        behaviour_logprobs=torch.from_numpy(
            np.concatenate([s.behaviour_logprobs for s in sequences])
        ),
        advantages=per_token[:, 0].contiguous(),
        weights=per_token[:, 1].contiguous(),
        sequence=torch.arange(len(sequences)).repeat_interleave(counts),
    )


def shard(
    sequences: Sequence[ScoredResponse], rank: int, world: int, max_padded_tokens: int
) -> list[tuple[list[ScoredResponse], bool]]:
    """Return this rank's micro-batches as (sequences, muted).

    Every rank gets the same number of micro-batches, because their collectives must match; one
    that runs out repeats a sequence with its weights muted.
    """
    if not sequences:
        return []
    shares: list[list[ScoredResponse]] = [[] for _ in range(world)]
    for s in sequences:
        shares[s.slot % world].append(s)
    plans = [
        micro_batches(np.array([s.tokens for s in share], dtype=np.int64), max_padded_tokens)
        for share in shares
    ]
    rounds = max(len(p) for p in plans)
    mine = [([shares[rank][i] for i in picks], False) for picks in plans[rank]]
    shortest = min(sequences, key=lambda s: s.tokens)
    mine += [([shortest], True)] * (rounds - len(mine))
    return mine
