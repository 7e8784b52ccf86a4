"""The DeepSpeed learner of one rank: updates, weights out, checkpoints. Knows no objective."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from algorithms.losses import policy_loss
from algorithms.mismatch import mismatch
from services.learning.deepspeed_config import deepspeed_config
from services.learning.native_ops import keep_in_environment
from services.learning.policy_model import PolicyModel, load_policy
from services.learning.samples import Batch, ScoredResponse, Update, collate, shard
from services.spec.job import LearnerSpec


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient is not a finite number; this policy must not be used."""


@dataclass
class Tally:
    """Sums over tokens, added over ranks at the end of a step."""

    sums: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float | Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def reduced(self, device: torch.device) -> dict[str, float]:
        """Return the sums over all ranks. Collective: every rank must call it.

        Args:
            device: one that the process group can reduce on.
        """
        sums = [self.sums.get(n, 0.0) for n in _KEYS]
        total = torch.tensor(sums, dtype=torch.float64, device=device)
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(total)
        return dict(zip(_KEYS, total.tolist(), strict=True))


_KEYS = (
    "tokens",
    "entropy",
    "entropy_untempered",
    "mismatch_tokens",
    "mismatch_abs",
    "mismatch_k3",
    "trained_tokens",
    "clipped_tokens",
    "loss",
)


class PolicyLearner:
    """One rank's share of the training of one policy."""

    def __init__(self, model_path: Path, spec: LearnerSpec) -> None:
        keep_in_environment()
        import deepspeed

        self.spec = spec
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        model = load_policy(model_path, getattr(torch, spec.dtype), spec.logprob_chunk)
        self.engine, *_ = deepspeed.initialize(
            model=model,
            model_parameters=[p for p in model.parameters() if p.requires_grad],
            config=deepspeed_config(spec, self.world),
            dist_init_required=False,
        )

    # -- one step ---------------------------------------------------------------------------

    def train_step(
        self,
        updates: Sequence[Update],
        *,
        temperature: float,
        learning_rate: float,
    ) -> dict[str, float]:
        """Run the optimiser updates of one rollout batch; return means over its tokens.

        Raises:
            NonFiniteLoss: named with the update it happened in.
        """
        self._set_learning_rate(learning_rate)
        tally, norms, skipped = Tally(), list[float](), 0
        old = self._before_step(updates, temperature, tally)
        for i, update in enumerate(updates):
            if update.empty:
                skipped += 1
            else:
                norms.append(self._update(i, update, temperature, tally, old))
        sums = tally.reduced(self.engine.device)
        tokens = max(1.0, sums["tokens"])
        seen = max(1.0, sums["mismatch_tokens"])
        trained = max(1.0, sums["trained_tokens"])
        return {
            "entropy": sums["entropy"] / tokens,
            "entropy_untempered": sums["entropy_untempered"] / tokens,
            "measured_tokens": sums["tokens"],
            "mismatch_abs_mean": sums["mismatch_abs"] / seen,
            "mismatch_kl": sums["mismatch_k3"] / seen,
            "clip_ratio": sums["clipped_tokens"] / trained,
            "loss": sums["loss"] / max(1, len(norms)),
            "grad_norm": sum(norms) / len(norms) if norms else 0.0,
            "updates": float(len(norms)),
            "skipped_updates": float(skipped),
            "trained_tokens": sums["trained_tokens"],
        }

    def _before_step(
        self, updates: Sequence[Update], temperature: float, tally: Tally
    ) -> dict[int, Tensor]:
        """Measure what no update will see before its first gradient.

        Sequences that carry no gradient are scored here, so that entropy is a mean over every
        sampled token. With ``old_logprobs = "recomputed"`` all sequences are, and their
        log-probabilities become the denominator of the ratio.
        """
        recompute = self.spec.old_logprobs == "recomputed"
        chosen = [s for u in updates for s in u.sequences if recompute or not s.has_gradient]
        old: dict[int, Tensor] = {}
        with torch.no_grad():
            for sequences, muted in self._micro_batches(chosen):
                batch = collate(sequences, muted=muted).to(self.engine.device)
                logprob, entropy, untempered = self._score(batch, temperature)
                if muted:
                    continue
                _tally_entropy(tally, entropy, untempered)
                _tally_mismatch(tally, logprob, batch.behaviour_logprobs)
                if recompute:
                    counts = [len(s.response) for s in sequences]
                    for s, lp in zip(sequences, logprob.split(counts), strict=True):
                        old[id(s)] = lp
        return old

    def _update(
        self, index: int, update: Update, temperature: float, tally: Tally, old: dict[int, Tensor]
    ) -> float:
        """Accumulate one mini-batch's gradient over micro-batches and step once."""
        plan = self._micro_batches([s for s in update.sequences if s.has_gradient])
        for i, (sequences, muted) in enumerate(plan):
            batch = collate(sequences, muted=muted).to(self.engine.device)
            self.engine.set_gradient_accumulation_boundary(i == len(plan) - 1)
            logprob, entropy, untempered = self._score(batch, temperature)
            denominator = (
                torch.cat([old[id(s)] for s in sequences])
                if old and not muted
                else batch.behaviour_logprobs
            )
            loss, stats = policy_loss(
                logprob,
                denominator,
                batch.advantages,
                batch.weights,
                update.clip_low,
                update.clip_high,
            )
            self._check_finite(loss.detach(), f"loss of update {index + 1}")
            # DeepSpeed averages gradients over ranks; the weights already normalise over all.
            self.engine.backward(loss * self.world)
            if not muted:
                tally.add("loss", loss.detach())
                tally.add("trained_tokens", len(logprob))
                tally.add("clipped_tokens", stats.clipped)
                if not old:
                    _tally_entropy(tally, entropy, untempered)
                if index == 0 and not old:
                    _tally_mismatch(tally, logprob, batch.behaviour_logprobs)
        # Without ZeRO DeepSpeed reports no norm, but whole gradients are at hand before the step.
        whole = self._gradient_norm() if self.spec.zero_stage == 0 else None
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm()) if whole is None else whole
        self._check_finite(norm, f"gradient norm of update {index + 1}")
        return norm

    def _gradient_norm(self) -> float:
        grads = [p.grad for p in self.engine.module.parameters() if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(grads))

    def _score(self, batch: Batch, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
        return self.engine(  # type: ignore[no-any-return]
            batch.input_ids, batch.positions, batch.targets, temperature
        )

    def _micro_batches(
        self, sequences: Sequence[ScoredResponse]
    ) -> list[tuple[list[ScoredResponse], bool]]:
        return shard(sequences, self.rank, self.world, self.spec.micro_batch_tokens)

    def _check_finite(self, value: float | Tensor, what: str) -> None:
        if not math.isfinite(float(value)):
            raise NonFiniteLoss(
                f"{what} is {float(value)}; the last checkpoint is intact. Lower the stage's "
                "learning_rate or resume from the checkpoint with another seed"
            )

    def _set_learning_rate(self, learning_rate: float) -> None:
        for group in self.engine.optimizer.param_groups:
            group["lr"] = learning_rate

    def reset_optimizer(self) -> None:
        """Forget Adam's moments and step counts; keep the weights (METHOD 1.5)."""
        optimizer = self.engine.optimizer
        inner = getattr(optimizer, "optimizer", optimizer)
        for state in inner.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()

    # -- weights and checkpoints ----------------------------------------------------------------

    def named_weights(self) -> list[tuple[str, Tensor]]:
        """Gather the policy under its Hugging Face names. Collective; only rank 0 gets it."""
        return list(self._gathered())

    def _gathered(self) -> Iterator[tuple[str, Tensor]]:
        import deepspeed

        model: PolicyModel = self.engine.module
        for name, parameter in model.lm.named_parameters():  # a tied weight stands once
            if self.spec.zero_stage == 3:
                with deepspeed.zero.GatheredParameters([parameter]):
                    value = parameter.detach().clone() if self.rank == 0 else None
            else:
                value = parameter.detach() if self.rank == 0 else None
            if value is not None:
                yield name, value

    def save(self, folder: Path) -> None:
        """Write optimiser state (all ranks). Collective."""
        self.engine.save_checkpoint(str(folder), tag="state", save_latest=False)

    def load(self, folder: Path) -> None:
        """Restore weights and optimiser as :meth:`save` wrote them. Collective."""
        loaded, _ = self.engine.load_checkpoint(str(folder), tag="state")
        if loaded is None:
            raise FileNotFoundError(f"{folder}: holds no learner state")

    def export(self, folder: Path, weights: list[tuple[str, Tensor]], tokenizer: Any) -> None:
        """Write a Hugging Face folder with safetensors (rank 0)."""
        model: PolicyModel = self.engine.module
        folder.mkdir(parents=True, exist_ok=True)
        model.lm.save_pretrained(folder, state_dict=dict(weights), safe_serialization=True)
        tokenizer.save_pretrained(folder)


def _tally_entropy(tally: Tally, entropy: Tensor, untempered: Tensor) -> None:
    tally.add("tokens", len(entropy))
    tally.add("entropy", entropy.double().sum())
    tally.add("entropy_untempered", untempered.double().sum())


def _tally_mismatch(tally: Tally, logprob: Tensor, behaviour: Tensor) -> None:
    """Behaviour against learner, before any gradient of the step."""
    found = mismatch(behaviour, logprob, torch.ones_like(logprob, dtype=torch.bool))
    tally.add("mismatch_tokens", found.tokens)
    tally.add("mismatch_abs", found.abs_sum)
    tally.add("mismatch_k3", found.k3_sum)
