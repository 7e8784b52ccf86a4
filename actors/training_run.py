"""The on-policy loop of one job: roll out, verify, train, publish, decide; checkpoint between."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actors.evaluator import Evaluator
from actors.generation import generate
from actors.learner_work import LearnerWork
from actors.roles import Roles
from actors.rollback import roll_back
from actors.run_journal import RunJournal
from actors.train_item import contrast_of, train_item
from actors.waiting import Waiter
from algorithms.guard_watch import EvaluationOutcome
from algorithms.schedule import Occurrence
from algorithms.stage import Stage
from algorithms.stage_machine import Decision, StageMachine, StepOutcome
from services.checkpoints import Checkpoint, CheckpointStore, link_tree
from services.datasets import Question
from services.evaluation.training_record import MIDWAY
from services.home import JobFolder
from services.prompt_stream import PromptStream, derive_seed
from services.rollout.request import Decoding, RolloutRequest
from services.spec.job import JobSpec
from services.step_record import EtaEstimate, learner_figures, position, rollout_figures
from services.storage_full import StorageFull, is_storage_full


class StageSwitched(Exception):
    """The samples of the step under way were dropped because another stage begins."""


class TrainingRun:
    """State of one attempt. Everything that must survive it is in :meth:`state`."""

    def __init__(
        self,
        job_id: str,
        spec: JobSpec,
        paths: JobFolder,
        roles: Roles,
        waiter: Waiter,
        journal: RunJournal,
        questions: list[Question],
        held_out: list[Question],
    ) -> None:
        self.job_id, self.spec, self.paths = job_id, spec, paths
        self.roles, self.waiter, self.journal = roles, waiter, journal
        self.machine = StageMachine(spec.stages, spec.cycles)
        self.stream = PromptStream(questions, spec.seed)
        self.checkpoints = CheckpointStore(paths.checkpoints)
        self.evaluator = Evaluator(spec, paths, roles, waiter, held_out)
        self.learners = LearnerWork(roles.replay, waiter, spec.learner.timeout_seconds)
        self.version = 0
        self.eta = EtaEstimate()
        self.seconds: dict[str, float] = {}
        self._optimizer_stage: str | None = None
        self._boundary: dict[str, Any] = {}
        self._uncheckpointed = 0
        self._unevaluated: str | None = None
        self._restored: Checkpoint | None = None
        self.phase = "starting"

    # -- state --------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold besides weights and optimiser."""
        replay = self.waiter.one(self.roles.replay.state_dict.remote(), 60, "the replay accounting")
        return {
            "machine": self.machine.state_dict(),
            "stream": self.stream.state_dict(),
            "replay": replay,
            "version": self.version,
            "work_id": self.learners.last_id,
            "optimizer_stage": self._optimizer_stage,
            "unevaluated": self._unevaluated,
            "journal": self.journal.position(),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""
        state = checkpoint.state
        self.machine.load_state_dict(state["machine"])
        self.stream.load_state_dict(state["stream"])
        self.learners.last_id = state["work_id"]
        self._optimizer_stage = state["optimizer_stage"]
        self._unevaluated, self._restored = state["unevaluated"], checkpoint
        self._boundary = state
        load = self.roles.replay.load_state_dict.remote(state["replay"])
        self.waiter.one(load, 60, "the replay queue to restore its accounting")
        self._set_version(state["version"])

    # -- the run ------------------------------------------------------------------------------

    def run(self, resumed: bool) -> None:
        """Run to the end of the last stage."""
        patience = self.spec.generator.timeout_seconds
        ready = [g.ready.remote() for g in self.roles.generators.values()]
        self.waiter.all(ready, patience, f"{len(ready)} generator(s) to start")
        if not resumed:
            self._evaluate("base")
        self._enter("sync")
        self.learners.do(
            {"kind": "publish", "version": self.version},
            f"{self.spec.learner.workers} learner(s) to start and publish their policy",
        )
        if not resumed:
            self.checkpoint()
        elif self._unevaluated and self._restored:
            self._conclude(self._unevaluated, self._restored)
        while not self.machine.finished:
            self._boundary = self.state()
            self.phase = "boundary"
            self.journal.poll_commands()
            if decision := self.machine.apply_request():
                self._after(decision)
                continue
            # A guard's word comes before the next step; without one the evaluation runs beside it.
            guarded = self.machine.stage.guard is not None
            if guarded and self._evaluation_due() and (decision := self._evaluate_midway()):
                self._after(decision)
                continue
            try:
                decision = self._step()
            except StageSwitched:
                applied = self.machine.apply_request()
                assert applied is not None
                decision = applied
            self._after(decision)
        self.phase = "done"

    def _after(self, decision: Decision) -> None:
        """Act on a decision: evaluate and checkpoint a stage that ended, prepare the next."""
        if decision.kind == "stay":
            due = self._uncheckpointed >= self.spec.checkpoint.every_steps
            best = self.machine.global_step in self.machine.rollback_steps
            if due or (best and self._uncheckpointed):
                self.checkpoint()
            return
        self.journal.event(
            "stage",
            f"stage {decision.stage} ended"
            + (f", {decision.to} begins" if decision.to else "")
            + f" ({decision.cause})",
            {"from": decision.stage, "to": decision.to, "cause": decision.cause}
            | {"evidence": dict(decision.evidence)},
        )
        self._roll_back(decision)
        if decision.to and self.machine.stage.data == "restart":
            self.stream.restart()
        self._unevaluated = decision.stage
        self._conclude(decision.stage, self.checkpoint())

    def _conclude(self, label: str, checkpoint: Checkpoint) -> None:
        """Keep and evaluate the policy a stage ended with; a resume does it if this did not."""
        link_tree(checkpoint.model, self.paths.model(label))
        verdict = self._evaluate(label)
        if verdict is not None and self._roll_back(verdict):
            # Model and evaluation of this label are those of the policy that is kept.
            link_tree(self.checkpoint().model, self.paths.model(label))
            self._evaluate(label)
        self._unevaluated = None

    def _roll_back(self, decision: Decision) -> bool:
        """Bring back the weights a decision asks for; return whether that was done.

        Nothing else goes back: the samples trained since are trained, the prompts are used, and the
        policy counts as a new version. The caller writes a checkpoint next; until then the phase
        keeps a stop from saving these weights with the state of before.
        """
        if decision.rollback_to is None:
            return False
        with self._timed("checkpoint"):
            version = self.version + 1
            done = roll_back(decision, version, self.checkpoints, self.learners, self.journal)
            if done:
                self._set_version(version)
        return done

    def checkpoint(self) -> Checkpoint:
        """Write a checkpoint of the last complete step."""
        with self._timed("checkpoint"):
            self._boundary = self.state()
            return self._write_checkpoint()

    def checkpoint_boundary(self) -> Checkpoint | None:
        """Write a checkpoint of the last step boundary, dropping what came after it: all but a
        request for another stage, which waits for the resume. None when there is nothing new."""
        if not self._boundary:
            return None
        requested = self.machine.requested
        if not (self._uncheckpointed or requested):
            return None
        if requested:
            self._boundary["machine"]["requested"] = requested.label
            # The request is all that is kept of what came after the boundary.
            command = self.journal.position()["command"]
            self._boundary["journal"] = {**self._boundary["journal"], "command": command}
        return self._write_checkpoint()

    def _write_checkpoint(self) -> Checkpoint:
        started = time.monotonic()
        step = self._boundary["machine"]["global_step"]
        folder = self.checkpoints.begin(step)
        try:
            item = {"kind": "checkpoint", "folder": str(folder)}
            self.learners.do(item, "the learners to checkpoint")
            checkpoint = self.checkpoints.seal(folder, step, self._boundary)
        except Exception as e:
            is_full = is_storage_full(e, folder)
            shutil.rmtree(folder, ignore_errors=True)  # a full disk needs the room
            if is_full:
                raise StorageFull(f"no room for the checkpoint of step {step} ({e})") from e
            raise
        self.journal.saved(self._boundary["journal"])
        removed = self.checkpoints.prune(self.spec.checkpoint.keep, self.machine.rollback_steps)
        self._uncheckpointed = 0
        seconds = time.monotonic() - started
        self.journal.event(
            "checkpoint",
            f"checkpoint of step {step}",
            {"step": step, "removed": removed, "seconds": seconds},
        )
        return checkpoint

    # -- one step -----------------------------------------------------------------------------

    def _step(self) -> Decision:
        """Run one rollout batch through every role and count it."""
        current, step = self.machine.current, self.machine.global_step + 1
        stage = current.stage
        started = time.monotonic()
        self.seconds = {}
        requests = self._requests(current, step)
        ids = [r.group_id for r in requests]
        groups = self._roll_out(current, requests)
        summaries = self._verify(stage, groups, contrast_of(self.spec, step))
        self._drop_if_switching(ids)
        result = self._train(current, step, summaries)
        self.seconds["train"] = result["train_seconds"]
        self.seconds["sync"] = result["sync_seconds"]
        self._uncheckpointed += 1
        total = time.monotonic() - started
        self.eta.observe(total)
        left = self.machine.total_steps - step
        record = {
            "step": step,
            "stage": current.label,
            "cycle": current.cycle,
            "stage_step": self.machine.stage_step + 1,
            "policy_version": self.version,
            "time": time.time(),
            "temperature": stage.sampling.temperature,
            "learning_rate": stage.learning_rate,
            **rollout_figures(summaries),
            **learner_figures(result),
            "seconds": {**self.seconds, "total": total},
            "eta_seconds": self.eta.seconds_left(left),
            "samples": self._accounting(),
        }
        record["tokens_per_second"] = record["generated_tokens"] / total
        self.journal.metrics(step, record)
        figures = {k: v for k, v in record.items() if isinstance(v, int | float)}
        return self.machine.observe(StepOutcome(current.label, step, figures))

    def _requests(self, current: Occurrence, step: int) -> list[RolloutRequest]:
        return [
            RolloutRequest(
                group_id=f"{current.label}/{step}/{i}",
                question_id=q.id,
                prompt=q.question + self.spec.data.prompt_suffix,
                gold=q.gold,
                tolerance=q.tolerance,
                seed=derive_seed(self.spec.seed, current.label, step, i),
            )
            for i, q in enumerate(self.stream.take(current.stage.prompts_per_step))
        ]

    def _roll_out(
        self, current: Occurrence, requests: list[RolloutRequest]
    ) -> list[dict[str, Any]]:
        """Have every generator answer its share; return one record a group."""
        replay, sampling = self.roles.replay, current.stage.sampling
        ids = [r.group_id for r in requests]
        admit = [(i, sampling.group_size, current.label, self.version) for i in ids]
        self.waiter.one(replay.admit_all.remote(admit), 60, "the replay queue to admit the step")
        decoding = Decoding(
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            group_size=sampling.group_size,
        )
        with self._timed("generate"):
            patience = self.spec.generator.timeout_seconds
            records = generate(self.roles.generators, self.waiter, patience, requests, decoding)
            commit = replay.commit_generated_all.remote(
                [(r["group_id"], r["ref"]) for r in records]
            )
            self.waiter.one(commit, 60, "the replay queue to take the trajectories")
        return records

    def _verify(
        self, stage: Stage, groups: list[dict[str, Any]], contrast: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        with self._timed("verify"):
            drawn = [(g["group_id"], g["ref"]) for g in groups]
            objective = stage.objective.model_dump(mode="json")
            call = self.roles.verifier.score.remote(drawn, objective, contrast)
            responses = len(groups) * stage.sampling.group_size
            patience = self.spec.verifier.patience(responses)
            summaries: list[dict[str, Any]] = self.waiter.one(
                call, patience, f"verdicts on {responses} responses"
            )
            scored = [(s["group_id"], s["score_ref"], s["dispositions"]) for s in summaries]
            commit = self.roles.replay.commit_scored_all.remote(scored)
            self.waiter.one(commit, 60, "the replay queue to take the scores")
        return summaries

    def _drop_if_switching(self, ids: list[str]) -> None:
        """Apply the rule for samples caught at a switch (``on_entry`` of the coming stage)."""
        self.journal.poll_commands()
        coming = self.machine.requested
        if coming is not None and coming.stage.on_entry == "drop":
            drop = self.roles.replay.exclude.remote(ids, "stage_switch")
            self.waiter.one(drop, 60, "the replay queue to drop the samples of the old stage")
            raise StageSwitched

    def _train(
        self, current: Occurrence, step: int, summaries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self._enter("train")
        label = current.label
        reset = current.stage.optimizer == "reset" and self._optimizer_stage != label
        item = {
            **train_item(self.spec, self.paths, current, step, summaries),
            "reset_optimizer": reset,
            "version": self.version + 1,
        }
        # The generators still have the policy of before: it is evaluated while they are idle.
        beside = self._evaluate_midway if self._evaluation_due() else None
        result = self.learners.train(item, f"the learners to train step {step}", beside)
        if beside:  # what the step waited for, not what went on beside it
            self.seconds["evaluate"] = result["held_up_seconds"]
        self._set_version(self.version + 1)
        self._optimizer_stage = label
        return result

    def _set_version(self, version: int) -> None:
        """Note the version that generators serve from now on; the queue measures age by it."""
        self.version = version
        self.waiter.one(
            self.roles.replay.set_version.remote(version), 60, "the replay queue to note a version"
        )

    def _accounting(self) -> dict[str, Any]:
        counts: dict[str, Any] = self.waiter.one(
            self.roles.replay.counts.remote(), 60, "the replay accounting"
        )
        return counts

    def _evaluation_due(self) -> bool:
        """Whether held-out accuracy is to be measured in the middle of a stage, and has not been:
        read off what a checkpoint holds, so that a resumed run asks at the same steps."""
        every = self.spec.evaluation.every_steps if self.spec.evaluation else None
        step = self.machine.global_step
        return every is not None and step % every == 0 and self.machine.evaluated_step != step

    def _evaluate_midway(self) -> Decision | None:
        return self._evaluate(f"{self.machine.current.label}{MIDWAY}")

    def _evaluate(self, label: str) -> Decision | None:
        """Evaluate the policy as it is; return what the stage machine makes of it."""
        if self.spec.evaluation is None:
            return None
        with self._timed("evaluate"):
            record = self.evaluator.run(label, self.machine.global_step, self.version)
        figures = {k: v for k, v in record.items() if k != "records"}
        self.journal.event(
            "evaluation",
            f"{label}: accuracy {100 * (record['accuracy'] or 0):.1f} %, "
            f"mean length {record['length_mean']:.0f} tokens",
            figures,
        )
        low, high = record["accuracy_ci95"]
        return self.machine.observe_evaluation(
            EvaluationOutcome(
                record["step"], record["accuracy"], (low, high), record["length_mean"]
            )
        )

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        self._enter(phase)
        started = time.monotonic()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - started

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self.journal.progress(self.progress())

    def progress(self) -> dict[str, Any]:
        """Return what the live view shows between steps."""
        left = self.eta.seconds_left(self.machine.total_steps - self.machine.global_step)
        return {**position(self.machine), "phase": self.phase, "eta_seconds": left}
