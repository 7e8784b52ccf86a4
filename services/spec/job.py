"""The job specification: everything a person may set, strict, with the vetted defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from algorithms.criteria import LengthTarget
from algorithms.schedule import Cycles, Occurrence, occurrences
from algorithms.stage import Stage
from algorithms.strict import Strict
from services.spec.on_hub import FileOnHub, OnHub
from services.spec.restarts import RestartSpec

Beta = Annotated[float, Field(ge=0, lt=1)]


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and not gpus.is_integer():
        raise ValueError(f"gpus ({gpus:g}) above 1 must be a whole number: Ray shares only one GPU")
    return gpus


Gpus = Annotated[float, Field(ge=0), AfterValidator(_whole_above_one)]


class ModelSpec(OnHub):
    """The policy to compress."""

    path: str = ""
    """Folder with a Hugging Face checkpoint in safetensors and its tokenizer. ``builtin:NAME``
    names a model that ships with Laconic (``builtin:tiny-reasoner``). With ``hub`` it is filled
    in."""


class DataSpec(FileOnHub):
    """Questions with known answers, as JSONL, a JSON list or parquet."""

    path: str = ""
    """File; ``builtin:tiny-train`` and ``builtin:tiny-heldout`` ship with Laconic,
    ``benchmark:NAME`` is a set of docs/benchmarks.md (``benchmark:deepscaler``), which has columns
    of its own."""
    question_field: str = "question"
    """Column of the question. In every name of a column ``a.b`` is the field ``b`` of the object
    in column ``a``."""
    answer_field: str = "answer"
    """A string, a number, or a list of accepted answers."""
    id_field: str | None = Field(default=None, min_length=1)
    """Column of the ids; unset takes ``id`` where a row has one, else file and line."""
    tolerance_field: str | None = Field(default=None, min_length=1)
    """Column of how far a number may lie from the accepted answer: a number, or
    ``{"absolute": ..., "relative": ...}``; unset takes ``tolerance`` where a row has one."""
    allow_other_content: bool = False
    """Take a benchmark whose questions are not the pinned ones; the job then says so."""
    bad_golds: Literal["refuse", "drop"] = "refuse"
    """Training questions whose accepted answers do not verify against themselves, so that no
    response can be right: refuse the job and list them, or leave them out and say how many."""
    prompt_suffix: str = "\nPlease reason step by step, and put your final answer within \\boxed{}."
    """Appended to every question before the chat template is applied."""


class GeneratorSpec(Strict):
    """vLLM generation workers."""

    workers: int = Field(default=1, ge=1)
    cpus: float = Field(default=1, gt=0)
    """Ray CPUs reserved by each worker."""
    gpus: Gpus = 0
    """Ray GPUs reserved by each worker; 0 runs vLLM on the CPU."""
    threads: int | None = Field(default=None, ge=1)
    """OpenMP threads of a CPU worker; unset shares the node's cores among the workers."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_sequences: int = Field(default=256, ge=1)
    """Sequences decoded at the same time by one worker."""
    max_model_len: int | None = Field(default=None, ge=16)
    """Context in tokens, prompt included; unset takes the model's own."""
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """Memory of one CPU worker's key-value cache."""
    timeout_seconds: float = Field(default=600, gt=0)
    """Longest wait for one rollout batch, and for the engine to start."""


class LearnerSpec(Strict):
    """DeepSpeed learner workers, run by Ray Train."""

    workers: int = Field(default=1, ge=1)
    cpus: float = Field(default=1, gt=0)
    gpus: Gpus = 0
    threads: int | None = Field(default=None, ge=1)
    """OpenMP threads of a CPU worker; unset shares the node's cores among the workers."""
    zero_stage: Literal[0, 1, 2, 3] = 0
    """DeepSpeed ZeRO stage."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the trained weights; bfloat16 keeps float32 master weights in the optimiser."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    grad_clip: float = Field(default=1.0, gt=0)
    """Largest global gradient norm."""
    micro_batch_tokens: int = Field(default=16384, ge=1)
    """Padded tokens in one forward pass; a single longer sequence still passes alone."""
    logprob_chunk: int = Field(default=1024, ge=1)
    """Tokens whose logits exist at the same time; bounds memory at chunk x vocabulary."""
    old_logprobs: Literal["behaviour", "recomputed"] = "behaviour"
    """Denominator of the ratio: what the generator reported, or a forward pass of the learner
    before the first update (for engines whose numerics differ)."""
    importance_cap: float | None = Field(default=None, gt=0)
    """C of truncated importance sampling (Yao et al. 2025): with ``recomputed``, each token weighs
    ``min(pi_old / pi_behaviour, C)`` too, which corrects for an engine that drew from slightly
    another distribution. Unset: 1, no correction."""
    timeout_seconds: float = Field(default=900, gt=0)
    """Longest wait for one step, and for the workers to start."""

    @model_validator(mode="after")
    def _correction_needs_both_sides(self) -> LearnerSpec:
        if self.importance_cap is not None and self.old_logprobs != "recomputed":
            raise ValueError(
                "importance_cap needs old_logprobs 'recomputed': with 'behaviour' the ratio is "
                "taken to the generator's own log-probabilities and corrects for it already"
            )
        return self


class VerifierSpec(Strict):
    """The pool of killable verification processes."""

    kind: str = Field(default="math", min_length=1)
    """What judges the answers: ``math``, or the name of a verifier that is installed where the
    control plane and the job run (entry point group ``laconic.verifiers``)."""
    workers: int = Field(default=1, ge=1, le=512)
    """Answers worked on at the same time, and as many again that take long. The processes share
    about 80 MB, and each takes 10 MB or more of its own once an answer needs algebra."""
    timeout_seconds: float = Field(default=3.0, gt=0)
    """Wall clock of one answer; the process is killed and replaced when it overruns."""
    memory_mib: int = Field(default=1024, ge=64)
    """Address space of a process beyond what its imports need."""

    def patience(self, answers: int) -> float:
        """Longest wait for verdicts, in seconds: each answer may overrun, twice on a machine that
        is too busy, and its process has to be replaced then."""
        return 400 + answers * (2 * self.timeout_seconds + 10)


class ReplaySpec(Strict):
    """The queue between generators and learners."""

    max_staleness: int = Field(default=0, ge=0, le=0)
    """Oldest policy version trained on, counted back from the current one; 0 is the paper's
    on-policy loop."""
    lease_seconds: float = Field(default=900, gt=0)
    """A learner that does not acknowledge in this time loses the batch to its successor."""


class EvaluationSpec(FileOnHub):
    """Held-out evaluation of the base model, after each stage, and within stages on request."""

    path: str = ""
    """File with the same columns as the training data, or a name (``benchmark:math500``)."""
    allow_other_content: bool = False
    """Take a benchmark whose questions are not the pinned ones; the job then says so."""
    questions: int = Field(default=256, ge=1)
    """Questions taken from the head of the file; of a benchmark a fixed sample."""
    samples: int = Field(default=1, ge=1)
    """Responses per question."""
    temperature: float = Field(default=0.6, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=32768, gt=0)
    every_steps: int | None = Field(default=None, ge=1)
    """Also evaluate whenever the job has run this many further steps: beside training, or before
    the next step where a stage's accuracy guard has to look. Unset evaluates at the end of each
    stage only."""


class AnalysisSpec(Strict):
    """Samples of the tokens trained on, for ``laconic analyze``."""

    every_steps: int = Field(default=20, ge=1)
    """Steps between two samples; each costs a forward pass over the step's tokens."""
    max_tokens: int = Field(default=200_000, ge=1)
    """Tokens kept of one sampled step."""
    conflict: bool = False
    """Whether sampled steps also compare the gradients of the compression and of the accuracy
    objective on one mini-batch: two further backward passes, and memory for two gradients in
    float32. Not measured where a job has only one of the objectives, nor with partitioned
    parameters (``learner.zero_stage`` 3)."""


class CheckpointSpec(Strict):
    """When the run can be picked up again."""

    every_steps: int = Field(default=20, ge=1)
    """A checkpoint is also written at the end of each stage."""
    keep: int = Field(default=2, ge=1)
    """Newest checkpoints kept besides the last one of each stage, whose weights stay, and the one
    an accuracy guard would go back to."""


class JobSpec(Strict):
    """One training job: a model goes in, stages run over it, a shorter-thinking model comes out."""

    name: str = Field(default="job", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    model: ModelSpec
    data: DataSpec
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=100)
    cycles: Cycles | None = None
    """Repeats the list of stages; unset runs it once, as the paper does."""
    evaluation: EvaluationSpec | None = None
    generator: GeneratorSpec = GeneratorSpec()
    learner: LearnerSpec = LearnerSpec()
    verifier: VerifierSpec = VerifierSpec()
    replay: ReplaySpec = ReplaySpec()
    analysis: AnalysisSpec | None = AnalysisSpec()
    """Null keeps no samples."""
    checkpoint: CheckpointSpec = CheckpointSpec()
    restarts: RestartSpec = RestartSpec()
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes data order, sampling and initial states."""

    @model_validator(mode="after")
    def _unique_stage_names(self) -> JobSpec:
        names = [s.name for s in self.stages]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"stages: names must be unique, {sorted(twice)} stands twice")
        if "base" in names:
            raise ValueError(
                "stages: 'base' is what the untrained model is called; rename the stage"
            )
        return self

    @model_validator(mode="after")
    def _evaluation_where_it_is_needed(self) -> JobSpec:
        every = None if self.evaluation is None else self.evaluation.every_steps
        for index, stage in enumerate(self.stages):
            if stage.guard is not None and self.evaluation is None:
                raise ValueError(
                    f"stages.{index}.guard needs held-out questions to guard accuracy on; add "
                    "evaluation, or remove the guard"
                )
            if stage.guard is not None and stage.guard.action == "leave" and every is None:
                raise ValueError(
                    f"stages.{index}.guard.action 'leave' cannot act when the stage is evaluated "
                    "at its end only; set evaluation.every_steps, or use 'rollback'"
                )
            for place, criterion in enumerate(stage.until):
                self._refuse_ratio_without_base(f"stages.{index}.until.{place}", criterion)
        if self.cycles is not None:
            self._refuse_ratio_without_base("cycles.length", self.cycles.length)
        return self

    def _refuse_ratio_without_base(self, where: str, criterion: object) -> None:
        if (
            isinstance(criterion, LengthTarget)
            and criterion.ratio is not None
            and self.evaluation is None
        ):
            raise ValueError(
                f"{where}.ratio is a share of the base model's length on held-out questions; add "
                "evaluation, or give the target in tokens"
            )

    @model_validator(mode="after")
    def _cycle_target_can_be_seen(self) -> JobSpec:
        target = self.cycles.length if self.cycles else None
        steps = self.stages[-1].steps
        if target is not None and target.earliest > steps:
            late = "min_steps" if target.min_steps > steps else "window"
            raise ValueError(
                f"cycles.length.{late} ({getattr(target, late)}) is too long for the {steps} steps "
                f"of the last stage, {self.stages[-1].name!r}; shorten it or raise the steps"
            )
        return self

    @model_validator(mode="after")
    def _lease_outlives_step(self) -> JobSpec:
        lease, longest = self.replay.lease_seconds, self.learner.timeout_seconds
        if lease < longest:
            raise ValueError(
                f"replay.lease_seconds ({lease:g}) must be at least learner.timeout_seconds "
                f"({longest:g}): a learner still within its time would lose its batch"
            )
        return self

    @property
    def schedule(self) -> tuple[Occurrence, ...]:
        """Every stage the job can run, in order, cycle after cycle."""
        return occurrences(self.stages, self.cycles)

    @property
    def total_steps(self) -> int:
        """The most steps the job can run; criteria, guards, cycles and people may end it sooner."""
        return sum(o.stage.steps for o in self.schedule)
