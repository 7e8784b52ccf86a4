"""The DeepSpeed learner of one rank: updates, weights out, checkpoints. Knows no objective."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from algorithms.losses import LossStats, policy_loss
from algorithms.policy_loss_settings import PolicyLoss
from algorithms.token_emphasis import emphasis, entropy_threshold
from algorithms.token_gradients import TokenColumns
from services.learning.deepspeed_config import deepspeed_config
from services.learning.gradient_conflict import gradient_conflict
from services.learning.native_ops import keep_in_environment
from services.learning.policy_model import PolicyModel, load_policy
from services.learning.samples import Batch, ScoredResponse, Update, collate, shard
from services.learning.tally import Tally
from services.learning.token_probe import Probe, keep, probe_tokens
from services.spec.job import LearnerSpec


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient is not a finite number; this policy must not be used."""


@dataclass(frozen=True)
class Measured:
    """A sequence of T tokens before the first gradient of a step."""

    logprob: Tensor
    """[T] under the policy, at the sampling temperature."""
    entropy: Tensor
    """[T] likewise, in nats."""
    reference: Tensor
    """[T] log-probabilities under the base model; zeros where the loss does not ask."""


class PolicyLearner:
    """One rank's share of the training of one policy."""

    def __init__(self, model_path: Path, spec: LearnerSpec, connectors: Sequence[int] = ()) -> None:
        """``connectors``: token ids whose share in the gradients is measured."""
        keep_in_environment()
        import deepspeed

        self.spec = spec
        self._model_path = model_path
        self._reference: PolicyModel | None = None
        self._connectors = connectors
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
        probe: Probe | None = None,
        contrast: tuple[Update, Update] | None = None,
    ) -> dict[str, Any]:
        """Run the optimiser updates of one rollout batch; return means over its tokens.

        Args:
            updates: mini-batches, in their order.
            temperature: the one the responses were sampled at.
            learning_rate: of this step.
            probe: leave a sample of the tokens as they are before the step.
            contrast: a mini-batch scored by the compression and by the accuracy objective, whose
                gradients are compared before the step.

        Raises:
            NonFiniteLoss: named with the update it happened in.
        """
        self._set_learning_rate(learning_rate)
        tally, norms, skipped = Tally(), list[float](), 0
        if probe is not None:
            self._probe(probe, updates, temperature)
        conflict = None
        if contrast is not None:
            conflict = gradient_conflict(
                self.engine.module,
                contrast,
                temperature,
                self._micro_batches,
                self._connectors,
                self.engine.device,
            )
        measured = self._before_step(updates, temperature, tally)
        for i, update in enumerate(updates):
            if update.empty:
                skipped += 1
            else:
                norms.append(self._update(i, update, temperature, tally, measured))
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
            "reference_kl": sums["reference_k3"] / trained,
            "loss": sums["loss"] / max(1, len(norms)),
            "grad_norm": sum(norms) / len(norms) if norms else 0.0,
            "updates": float(len(norms)),
            "skipped_updates": float(skipped),
            "trained_tokens": sums["trained_tokens"],
            "entropy_profile": tally.profile.figures(),
            "gradient_conflict": conflict,
        }

    def _probe(self, probe: Probe, updates: Sequence[Update], temperature: float) -> None:
        """Look at this rank's tokens; rank 0 keeps its share, a sample of every length."""
        plan = self._micro_batches([s for u in updates for s in u.sequences])

        def score(batch: Batch) -> TokenColumns:
            found = self.engine(
                batch.input_ids, batch.positions, batch.targets, temperature, measure=True
            )
            return TokenColumns(*found)

        samples = probe_tokens(probe, plan, score, temperature, self.engine.device)
        if self.rank == 0:
            keep(probe, samples)

    def _before_step(
        self, updates: Sequence[Update], temperature: float, tally: Tally
    ) -> dict[int, Measured]:
        """Measure what no update will see before its first gradient, by ``id`` of the sequence.

        Sequences that carry no gradient are scored here, so that entropy is a mean over every
        sampled token, and so are those whose loss looks at the entropy or at a reference. With
        ``old_logprobs = "recomputed"`` all sequences are, and their log-probabilities become the
        denominator of the ratio.
        """
        recompute = self.spec.old_logprobs == "recomputed"
        chosen = [
            s
            for u in updates
            for s in u.sequences
            if recompute or not s.has_gradient or s.loss.needs_measuring
        ]
        found: dict[int, Measured] = {}
        with torch.no_grad():
            for sequences, muted in self._micro_batches(chosen):
                batch = collate(sequences, muted=muted).to(self.engine.device)
                logprob, entropy, untempered = self._score(batch, temperature)
                if muted:
                    continue
                tally.add_entropy(sequences, entropy, untempered)
                tally.add_mismatch(logprob, batch.behaviour_logprobs)
                reference = self._reference_logprobs(sequences, batch, temperature)
                counts = [len(s.response) for s in sequences]
                columns = (logprob.split(counts), entropy.split(counts), reference.split(counts))
                for s, lp, h, ref in zip(sequences, *columns, strict=True):
                    found[id(s)] = Measured(lp, h, ref)
        return found

    def _reference_logprobs(
        self, sequences: Sequence[ScoredResponse], batch: Batch, temperature: float
    ) -> Tensor:
        """Return log-probabilities [N] under the base model; zeros where no loss asks for them."""
        if not any(s.has_gradient and s.loss.needs_reference for s in sequences):
            return torch.zeros_like(batch.behaviour_logprobs)
        if self._reference is None:
            dtype = getattr(torch, self.spec.dtype)
            model = load_policy(self._model_path, dtype, self.spec.logprob_chunk)
            self._reference = model.to(self.engine.device).requires_grad_(False).eval()
        scored: tuple[Tensor, Tensor, Tensor] = self._reference(
            batch.input_ids, batch.positions, batch.targets, temperature
        )
        return scored[0]

    def _update(
        self,
        index: int,
        update: Update,
        temperature: float,
        tally: Tally,
        measured: dict[int, Measured],
    ) -> float:
        """Accumulate one mini-batch's gradient over micro-batches and step once."""
        trained = [s for s in update.sequences if s.has_gradient]
        thresholds = self._thresholds(trained, measured)
        plan = self._micro_batches(trained)
        # Decided for the whole mini-batch: under ZeRO 3 every rank must run the same graph.
        with_entropy = any(s.loss.entropy_coefficient for s in trained)
        for i, (sequences, muted) in enumerate(plan):
            batch = collate(sequences, muted=muted).to(self.engine.device)
            self.engine.set_gradient_accumulation_boundary(i == len(plan) - 1)
            logprob, entropy, untempered = self._score(batch, temperature, with_entropy)
            known = [] if muted else [measured.get(id(s)) for s in sequences]
            loss, stats = self._loss(sequences, batch, logprob, entropy, known, thresholds)
            if with_entropy:
                loss = loss + 0.0 * entropy.sum()
            self._check_finite(loss.detach(), f"loss of update {index + 1}")
            # DeepSpeed averages gradients over ranks; the weights already normalise over all.
            self.engine.backward(loss * self.world)
            if not muted:
                tally.add("loss", loss.detach())
                tally.add("trained_tokens", len(logprob))
                tally.add("clipped_tokens", stats.clipped)
                tally.add("reference_k3", stats.reference_k3_sum)
                new = torch.tensor([m is None for m in known], device=logprob.device)
                fresh = new[batch.sequence]
                first = [s for s, m in zip(sequences, known, strict=True) if m is None]
                tally.add_entropy(first, entropy.detach()[fresh], untempered[fresh])
                if index == 0:
                    tally.add_mismatch(logprob.detach()[fresh], batch.behaviour_logprobs[fresh])
        # Without ZeRO DeepSpeed reports no norm, but whole gradients are at hand before the step.
        whole = self._gradient_norm() if self.spec.zero_stage == 0 else None
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm()) if whole is None else whole
        self._check_finite(norm, f"gradient norm of update {index + 1}")
        return norm

    def _loss(
        self,
        sequences: Sequence[ScoredResponse],
        batch: Batch,
        logprob: Tensor,
        entropy: Tensor,
        known: Sequence[Measured | None],
        thresholds: dict[PolicyLoss, float],
    ) -> tuple[Tensor, LossStats]:
        """Return the loss of a micro-batch: the sum over the surrogates its sequences feed."""
        denominator = batch.behaviour_logprobs
        if self.spec.old_logprobs == "recomputed" and known:
            denominator = torch.cat([m.logprob for m in known if m is not None])
        # What nobody measured has no weight in a loss that asks for it.
        entropy_before, reference = torch.zeros_like(denominator), torch.zeros_like(denominator)
        start = 0
        for s, m in zip(sequences, known, strict=False):
            part_of = slice(start, start := start + len(s.response))
            if m is not None:
                entropy_before[part_of], reference[part_of] = m.entropy, m.reference
        total, stats = torch.zeros((), device=logprob.device), LossStats()
        for loss in dict.fromkeys(s.loss for s in sequences):
            mine = torch.tensor([s.loss == loss for s in sequences], device=logprob.device)
            weight = torch.where(mine[batch.sequence], batch.weights, 0.0)
            weight = weight * emphasis(
                entropy_before, thresholds.get(loss), loss.high_entropy_weight
            )
            if self.spec.importance_cap is not None:
                drift = (denominator - batch.behaviour_logprobs).exp()
                weight = weight * drift.clamp(max=self.spec.importance_cap)
            part, found = policy_loss(
                loss,
                logprob,
                denominator,
                batch.advantages,
                weight,
                batch.sequence,
                entropy if loss.entropy_coefficient else None,
                reference if loss.needs_reference else None,
            )
            total, stats = total + part, stats + found
        return total, stats

    def _thresholds(
        self, sequences: Sequence[ScoredResponse], measured: dict[int, Measured]
    ) -> dict[PolicyLoss, float]:
        """Return, for each loss that tells tokens apart by entropy, where high entropy begins:
        over the trained tokens of the mini-batch on all ranks."""
        found = {}
        for loss in dict.fromkeys(s.loss for s in sequences if s.loss.high_entropy_weight != 1):
            mine = [
                measured[id(s)].entropy for s in sequences if s.loss == loss and id(s) in measured
            ]
            own = torch.cat(mine).cpu() if mine else torch.zeros(0)
            parts: list[Any] = [own]
            if self.world > 1:
                parts = [None] * self.world
                dist.all_gather_object(parts, own)
            found[loss] = entropy_threshold(torch.cat(parts), loss.high_entropy_share)
        return found

    def _gradient_norm(self) -> float:
        grads = [p.grad for p in self.engine.module.parameters() if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(grads))

    def _score(
        self, batch: Batch, temperature: float, entropy_gradient: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self.engine(  # type: ignore[no-any-return]
            batch.input_ids, batch.positions, batch.targets, temperature, entropy_gradient
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
        """Forget Adam's moments and step counts; keep the weights (docs/method.md)."""
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
