"""The learner loop that Ray Train runs on every rank: take work, train, publish, acknowledge."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
import torch
import torch.distributed as dist
from transformers import AutoTokenizer

from algorithms.scoring import ScoredGroup
from algorithms.trajectory import TrajectoryGroup
from services import weights
from services.learning.gradient_conflict import connector_ids
from services.learning.policy_learner import PolicyLearner
from services.learning.samples import Pair, Update, build_update, build_updates
from services.learning.token_probe import Probe
from services.numerics import make_reproducible
from services.role_log import keep_log
from services.spec.job import LearnerSpec
from services.storage_full import is_storage_full
from services.tiny_reasoner.traces import CONNECTORS

log = logging.getLogger("laconic.learner")

_POLL_SECONDS = 5.0


class LeaseLost(RuntimeError):
    """This learner was taken for dead; its policy must not go on."""


class LearnerLoop:
    """One rank. Rank 0 speaks with the queue; the others follow what it broadcasts."""

    def __init__(self, config: dict[str, Any]) -> None:
        make_reproducible()
        os.environ |= config["logs"]
        keep_log("learner", dist.get_rank())
        spec = LearnerSpec.model_validate(config["spec"])
        torch.set_num_threads(config["threads"])
        torch.manual_seed(config["seed"])
        self.model_path = Path(config["model_path"])
        self.tokenizer = AutoTokenizer.from_pretrained(self.model_path)
        self.learner = PolicyLearner(
            self.model_path, spec, connector_ids(self.tokenizer, CONNECTORS)
        )
        if config["resume_from"]:
            self.learner.load(Path(config["resume_from"]) / "learner")
        self.queue = ray.get_actor(config["queue"], namespace=config["namespace"])
        self.publisher = ray.get_actor(config["publisher"], namespace=config["namespace"])
        self.patience = spec.timeout_seconds

    def run(self) -> None:
        """Serve work items until told to stop."""
        while True:
            item = self._next_item()
            if item["kind"] == "stop":
                self._complete(item, {})
                return
            handle = {
                "train": self._train,
                "publish": self._publish,
                "checkpoint": self._save,
                "load": self._load,
            }
            try:
                result = handle[item["kind"]](item)
            except Exception as e:
                log.exception("work item %s failed", item["kind"])
                # The driver must learn the cause even though this process is about to die.
                said: dict[str, Any] = {"error": f"{type(e).__name__}: {e}", "where": _where(e)}
                if item["kind"] == "checkpoint":
                    said["storage_full"] = is_storage_full(e, Path(item["folder"]))
                self._complete(item, said)
                raise
            self._complete(item, result)

    def _next_item(self) -> dict[str, Any]:
        """Return the next work item, the same on every rank."""
        item: dict[str, Any] | None = None
        while item is None:
            if self.learner.rank == 0:
                item = ray.get(
                    self.queue.next_work.remote("learner", _POLL_SECONDS),
                    timeout=_POLL_SECONDS + 60,
                )
            if self.learner.world > 1:
                # Ray's own pickler: only it sends a reference together with who owns the object.
                box = [ray.cloudpickle.dumps(item)]
                dist.broadcast_object_list(box, src=0)
                item = ray.cloudpickle.loads(box[0])
        return item

    def _complete(self, item: dict[str, Any], result: dict[str, Any]) -> None:
        if self.learner.rank == 0:
            call = self.queue.complete_work.remote(item["work_id"], result, item["lease_id"])
            if not ray.get(call, timeout=60):
                raise LeaseLost(
                    f"work {item['work_id']} was given to another learner meanwhile; what this one "
                    "did is discarded"
                )

    def _train(self, item: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        if item["reset_optimizer"]:
            self.learner.reset_optimizer()
        updates = self._updates(item)
        result: dict[str, Any] = self.learner.train_step(
            updates,
            temperature=item["temperature"],
            learning_rate=item["learning_rate"],
            probe=Probe(**item["probe"]) if item["probe"] else None,
            contrast=self._contrasted(item),
        )
        result["train_seconds"] = time.monotonic() - started
        if item["publish"]:
            result.update(self._publish(item))
        return result

    def _updates(self, item: dict[str, Any]) -> list[Update]:
        """Fetch the leased groups, all at once, and cut them into mini-batches."""
        groups = self._fetch([(item["refs"][g][0], item["refs"][g][1]) for g in item["groups"]])
        return build_updates(groups, item["update_unit"], item["per_update"], item["seed"])

    def _contrasted(self, item: dict[str, Any]) -> tuple[Update, Update] | None:
        """Return one mini-batch scored by the compression and by the accuracy objective; None on
        steps whose gradients are not compared."""
        ids = [g for g in item["groups"] if g in item["contrast"]]
        if not ids:
            return None
        first, second = (
            build_update(self._fetch([(item["refs"][g][0], item["contrast"][g][k]) for g in ids]))
            for k in (0, 1)
        )
        return first, second

    def _fetch(self, refs: Sequence[tuple[Any, Any]]) -> list[Pair]:
        """Fetch trajectory and score columns, all at once."""
        columns = iter(ray.get([r for pair in refs for r in pair], timeout=self.patience))
        return [
            (TrajectoryGroup.from_columns(next(columns)), ScoredGroup.from_columns(next(columns)))
            for _ in refs
        ]

    def _publish(self, item: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        named = self.learner.named_weights()
        if self.learner.rank == 0:
            bundle = weights.pack(named)
            digest = weights.checksum(bundle)
            ref = [ray.put(bundle)]
            ray.get(
                self.publisher.publish.remote(item["version"], ref, digest), timeout=self.patience
            )
        if self.learner.world > 1:
            dist.barrier()
        return {"version": item["version"], "sync_seconds": time.monotonic() - started}

    def _save(self, item: dict[str, Any]) -> dict[str, Any]:
        folder = Path(item["folder"])
        named = self.learner.named_weights()
        self.learner.save(folder / "learner")
        if self.learner.rank == 0:
            self.learner.export(folder / "model", named, self.tokenizer)
        if self.learner.world > 1:
            dist.barrier()
        return {"folder": str(folder)}

    def _load(self, item: dict[str, Any]) -> dict[str, Any]:
        """Go back to the weights and the optimiser of a checkpoint, as a new policy version."""
        self.learner.load(Path(item["folder"]) / "learner")
        return self._publish(item)


def _where(error: Exception) -> str:
    return "".join(traceback.format_tb(error.__traceback__)[-3:])


def learner_main(config: dict[str, Any]) -> None:
    """Entry point handed to Ray Train."""
    LearnerLoop(config).run()
