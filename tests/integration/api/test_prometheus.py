"""What Prometheus scrapes is what the store says, under the names of the catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from services.metric_catalogue import CATALOGUE

STEP = {
    "stage": "compression",
    "time": 1_700_000_000.0,
    "entropy": 0.25,
    "response_length_mean": 150.5,
    "accuracy": 0.875,
    "tokens_per_second": 1234.0,
    "policy_version": 7,
    "mismatch_abs_mean": 2e-6,
    "loss": None,
    "seconds": {"generate": 2.0, "train": 3.0},
    "samples": {"generated": 100, "trained": 60, "excluded": {"stale": 15}, "in_flight": 25},
    "verdicts": {"correct": 9},
}


def scrape(plane):
    answer = plane.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    samples = {}
    for family in families:
        for sample in family.samples:
            labels = frozenset(sample.labels.items() - {("job_id", sample.labels.get("job_id"))})
            samples[sample.name, labels] = sample.value
    return families, samples


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


def test_the_series_of_a_running_job(plane):
    progress = {"stage": "compression", "stage_index": 0, "step": 4, "eta_seconds": 61.0}
    progress["replay"] = {"ready": 5, "leased": 20}
    job = plane.running(**progress)
    plane.store.append_metrics(job, 1, 4, STEP)
    folder = plane.context.settings.home.job(job).evaluations
    folder.mkdir(parents=True)
    evaluation = {"label": "base", "accuracy": 0.8, "length_mean": 200.0, "records": []}
    (folder / "base.json").write_text(json.dumps(evaluation))
    _, samples = scrape(plane)
    spec = plane.store.get_job(job).spec
    expected = {
        ("laconic_policy_entropy_nats", ()): 0.25,
        ("laconic_response_length_tokens_mean", ()): 150.5,
        ("laconic_accuracy_ratio", ()): 0.875,
        ("laconic_eval_accuracy_ratio", (("label", "base"),)): 0.8,
        ("laconic_job_state", (("state", "running"),)): 1,
        ("laconic_job_state", (("state", "queued"),)): 0,
        ("laconic_job_phase", (("phase", "compression"),)): 1,
        ("laconic_job_phase", (("phase", "exploration"),)): 0,
        ("laconic_job_step", ()): 4,
        ("laconic_job_target_steps", ()): spec.total_steps,
        ("laconic_job_eta_seconds", ()): 61,
        ("laconic_generated_tokens_per_second", ()): 1234,
        ("laconic_replay_groups", (("state", "ready"),)): 5,
        ("laconic_samples_in_flight", ()): 25,
        ("laconic_policy_version", ()): 7,
        ("laconic_samples_generated_total", ()): 100,
        ("laconic_samples_total", (("disposition", "trained"),)): 60,
        ("laconic_samples_total", (("disposition", "stale"),)): 15,
        ("laconic_rollout_mismatch_abs_mean", ()): 2e-6,
        ("laconic_step_seconds", (("phase", "train"),)): 3,
        ("laconic_jobs", (("state", "running"),)): 1,
    }
    found = {key: value(samples, key[0], **dict(key[1])) for key in expected}
    assert found == expected
    assert ("laconic_loss", frozenset()) not in samples


def test_every_family_is_in_the_catalogue(plane):
    plane.store.append_metrics(plane.running(), 1, 1, STEP)
    families, _ = scrape(plane)
    known = {s.name.removesuffix("_total"): s for s in CATALOGUE}
    for family in families:
        assert family.name in known
        assert family.type == known[family.name].kind
        assert family.documentation == known[family.name].help


def test_the_catalogue_follows_the_naming_rules():
    names = [s.name for s in CATALOGUE]
    assert len(names) == len(set(names))
    for series in CATALOGUE:
        assert series.name.startswith("laconic_")
        assert series.name.endswith("_total") == (series.kind == "counter")
        assert series.help


def test_a_job_that_has_long_ended_has_no_series(plane):
    job = plane.running()
    plane.store.append_metrics(job, 1, 1, STEP)
    plane.store.set_state(job, "succeeded", attempt=1)
    assert job in plane.http.get("/metrics").text
    plane.context.settings = replace(plane.context.settings, metrics_retention_seconds=-1.0)
    assert job not in plane.http.get("/metrics").text
