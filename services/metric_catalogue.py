"""Every Prometheus series of the control plane, declared once: code, documentation, dashboards and
tests read this list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Series:
    """One metric family."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()
    field: str | None = None
    """Field of the step record it shows, where it is as simple as that."""


_JOB: Final = ("job_id",)


def _step(name: str, field: str, help: str) -> Series:
    return Series(name, "gauge", help + ", last step", _JOB, field)


CATALOGUE: Final[tuple[Series, ...]] = (
    Series("laconic_build_info", "gauge", "1, labelled with the version", ("version",)),
    Series(
        "laconic_reconcile_last_success_timestamp_seconds",
        "gauge",
        "When this control plane last looked at all jobs; absent where it never did",
    ),
    Series(
        "laconic_leader",
        "gauge",
        "1 where this control plane looks after the jobs; one of those on a store does",
    ),
    Series(
        "laconic_http_refused_total",
        "counter",
        "Requests refused here before a key was accepted, by the problem's code",
        ("code",),
    ),
    Series("laconic_jobs", "gauge", "Training jobs in each state", ("state",)),
    Series("laconic_evaluations", "gauge", "Evaluations in each state", ("state",)),
    Series(
        "laconic_job_info", "gauge", "1, labelled with what the job is", (*_JOB, "name", "preset")
    ),
    Series("laconic_job_state", "gauge", "1 for the job's state, else 0", (*_JOB, "state")),
    Series("laconic_job_phase", "gauge", "1 for the job's stage, else 0", (*_JOB, "phase")),
    Series("laconic_job_attempt", "gauge", "Attempt, 1 for the first", _JOB),
    Series("laconic_job_step", "gauge", "Steps finished, all stages together", _JOB),
    Series("laconic_job_target_steps", "gauge", "Steps of all stages together", _JOB),
    Series("laconic_job_progress_ratio", "gauge", "Share of the steps that is finished", _JOB),
    Series("laconic_job_eta_seconds", "gauge", "Time left as the driver estimates it", _JOB),
    Series(
        "laconic_job_heartbeat_timestamp_seconds", "gauge", "Last sign of life of the driver", _JOB
    ),
    Series(
        "laconic_job_last_step_timestamp_seconds", "gauge", "End of the last step", _JOB, "time"
    ),
    _step("laconic_policy_entropy_nats", "entropy", "Mean token entropy at sampling temperature"),
    _step("laconic_policy_entropy_untempered_nats", "entropy_untempered", "Same at temperature 1"),
    _step("laconic_response_length_tokens_mean", "response_length_mean", "Mean response length"),
    _step("laconic_response_length_tokens_median", "response_length_median", "Median length"),
    _step("laconic_response_length_tokens_max", "response_length_max", "Longest response"),
    _step("laconic_accuracy_ratio", "accuracy", "Correct among the verified rollout responses"),
    _step("laconic_truncated_responses_ratio", "truncated_ratio", "Responses cut at the cap"),
    _step("laconic_positive_responses_ratio", "positive_ratio", "Responses with positive reward"),
    _step("laconic_reward_mean", "reward_mean", "Mean reward"),
    _step("laconic_sampling_temperature", "temperature", "Sampling temperature"),
    _step("laconic_learning_rate", "learning_rate", "Learning rate"),
    _step("laconic_loss", "loss", "Mean loss of the updates"),
    _step("laconic_grad_norm", "grad_norm", "Mean gradient norm before clipping"),
    _step("laconic_clip_ratio", "clip_ratio", "Tokens whose probability ratio was clipped"),
    _step(
        "laconic_rollout_mismatch_abs_mean",
        "mismatch_abs_mean",
        "Mean absolute difference of generator and learner log-probabilities",
    ),
    _step("laconic_rollout_mismatch_kl_nats", "mismatch_kl", "KL of generator and learner"),
    _step("laconic_generated_tokens_per_second", "tokens_per_second", "Generation throughput"),
    _step("laconic_policy_version", "policy_version", "Version of the published weights"),
    Series(
        "laconic_zero_advantage_groups",
        "gauge",
        "Groups with no signal, last step",
        _JOB,
        "zero_advantage_groups",
    ),
    Series(
        "laconic_step_seconds", "gauge", "Time of each phase of the last step", (*_JOB, "phase")
    ),
    Series(
        "laconic_replay_groups",
        "gauge",
        "Prompt groups in the replay queue by state, at the last heartbeat",
        (*_JOB, "state"),
    ),
    Series(
        "laconic_samples_in_flight",
        "gauge",
        "Samples drawn and neither trained nor excluded yet",
        _JOB,
    ),
    Series("laconic_samples_generated_total", "counter", "Samples drawn", _JOB),
    Series(
        "laconic_samples_total",
        "counter",
        "Samples by what became of them: trained, or the reason they were excluded",
        (*_JOB, "disposition"),
    ),
    Series("laconic_verdicts_last_step", "gauge", "Verdicts of the last step", (*_JOB, "verdict")),
    Series(
        "laconic_eval_accuracy_ratio",
        "gauge",
        "Held-out accuracy; the label is base, a stage that ended, or STAGE.midway",
        (*_JOB, "label"),
    ),
    Series(
        "laconic_eval_response_length_tokens_mean",
        "gauge",
        "Mean response length on held-out questions",
        (*_JOB, "label"),
    ),
)

BY_NAME: Final[dict[str, Series]] = {s.name: s for s in CATALOGUE}
