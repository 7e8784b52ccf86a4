"""The Ray actors of one job: started together, asked for by name, ended together."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import ray
from ray.actor import ActorHandle

from actors.generator import Generator
from actors.replay_queue import ReplayQueue
from actors.verifier_pool import VerifierPool
from actors.weight_publisher import WeightPublisher
from services.spec.job import GeneratorSpec, JobSpec, VerifierSpec

Handle: TypeAlias = ActorHandle[Any]


class RoleLost(RuntimeError):
    """A worker that the run cannot do without has ended."""


def threads_per_worker(asked: int | None, workers: int) -> int:
    """Return OpenMP threads: as asked, or the node's cores shared among the workers.

    Generators and learners take turns in the on-policy loop, so each role gets all cores.
    """
    return asked or max(1, (os.cpu_count() or 1) // workers)


@dataclass
class Roles:
    """Handles of the workers and the thread that runs Ray Train."""

    generators: dict[str, Handle]
    verifier: Handle
    replay: Handle
    publisher: Handle
    learner_config: dict[str, Any]
    spec: JobSpec
    storage: Path
    _thread: threading.Thread | None = None
    _failure: list[BaseException] = field(default_factory=list)

    def start_learners(self) -> None:
        """Run Ray Train in a thread of its own; its failure surfaces in :meth:`check`."""
        self._thread = threading.Thread(target=self._fit, name="ray-train", daemon=True)
        self._thread.start()

    def _fit(self) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        from actors.learner import learner_main

        spec = self.spec.learner
        resources = {"CPU": spec.cpus} | ({"GPU": spec.gpus} if spec.gpus else {})
        trainer = TorchTrainer(
            learner_main,
            train_loop_config=self.learner_config,
            torch_config=TorchConfig(backend="nccl" if spec.gpus else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=spec.workers,
                use_gpu=bool(spec.gpus),
                resources_per_worker=resources,
            ),
            run_config=RunConfig(
                name="learner",
                storage_path=str(self.storage),
                failure_config=FailureConfig(max_failures=0),
            ),
        )
        try:
            trainer.fit()
        except BaseException as e:
            self._failure.append(e)

    def check(self) -> None:
        """Raise when the learners have ended although the run goes on."""
        if self._failure:
            raise RoleLost(f"the learner group ended: {self._failure[0]}") from self._failure[0]
        if self._thread is not None and not self._thread.is_alive():
            raise RoleLost("the learner group ended without an error")

    def join_learners(self, seconds: float) -> bool:
        """Wait for Ray Train after a stop item; return whether it ended."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def kill(self) -> None:
        """End the actors at once; learners end with the Ray job."""
        for handle in (*self.generators.values(), self.verifier, self.publisher, self.replay):
            ray.kill(handle)


def start_generators(
    job_id: str, spec: GeneratorSpec, model_path: Path, seed: int
) -> dict[str, Handle]:
    """Start the generation workers without waiting for any; return them by name."""
    threads = threads_per_worker(spec.threads, spec.workers)
    return {
        name: ray.remote(Generator)
        .options(
            name=f"{job_id}-{name}",
            num_cpus=spec.cpus,
            num_gpus=spec.gpus,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        )
        .remote(name, str(model_path), spec.model_dump(mode="json"), seed)
        for name in (f"generator-{i}" for i in range(spec.workers))
    }


def start_verifier(job_id: str, spec: VerifierSpec) -> Handle:
    """Start the verifier without waiting for it."""
    handle: Handle = (
        ray.remote(VerifierPool)
        .options(name=f"{job_id}-verifier", num_cpus=0)
        .remote(spec.model_dump(mode="json"))
    )
    return handle


def start_roles(
    job_id: str, spec: JobSpec, model_path: Path, resume_from: Path | None, storage: Path
) -> Roles:
    """Start every worker of a job without waiting for any."""
    namespace = ray.get_runtime_context().namespace
    generators = start_generators(job_id, spec.generator, model_path, spec.seed)
    verifier = start_verifier(job_id, spec.verifier)
    replay = (
        ray.remote(ReplayQueue)
        .options(name=f"{job_id}-replay", num_cpus=0, max_concurrency=32)
        .remote(spec.replay.model_dump(mode="json"))
    )
    publisher = (
        ray.remote(WeightPublisher)
        .options(name=f"{job_id}-publisher", num_cpus=0)
        # Half of what the driver waits for the whole step: the generator that is late gets named.
        .remote(generators, spec.learner.timeout_seconds / 2)
    )
    config = {
        "spec": spec.learner.model_dump(mode="json"),
        "threads": threads_per_worker(spec.learner.threads, spec.learner.workers),
        "seed": spec.seed,
        "model_path": str(model_path),
        "resume_from": str(resume_from) if resume_from else None,
        "queue": f"{job_id}-replay",
        "publisher": f"{job_id}-publisher",
        "namespace": namespace,
    }
    return Roles(generators, verifier, replay, publisher, config, spec, storage)
