"""Fills the series of the catalogue from the job store, at the moment of the scrape."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.dependencies import Context
from services.metric_catalogue import BY_NAME, CATALOGUE, Series
from services.replay_records import State
from services.stores.lifecycle import ACTIVE, STATES
from services.stores.listing import JobFilter
from services.stores.protocol import JobRecord

_JOB_LIMIT = 200
"""Jobs with series of their own; more would make a scrape too large."""

_TRAINING: Final = JobFilter(kind="training")
Family = GaugeMetricFamily | CounterMetricFamily


class JobCollector(Collector):
    """A Prometheus collector over one control plane."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterable[Metric]:
        families = {s.name: _family(s) for s in CATALOGUE}

        def add(name: str, value: Any, *labels: str) -> None:
            if isinstance(value, int | float):
                families[name].add_metric(list(labels), float(value))

        add("laconic_build_info", 1, _version())
        add("laconic_reconcile_last_success_timestamp_seconds", self._context.last_looked)
        add("laconic_leader", int(self._context.leads))
        for code, count in self._context.refusals.counts.items():
            add("laconic_http_refused_total", count, code)
        counts = {
            "laconic_jobs": self._context.store.count_jobs("training"),
            "laconic_evaluations": self._context.store.count_jobs("evaluation"),
        }
        for name, of in counts.items():
            for state in STATES:
                add(name, of.get(state, 0), state)
        for job in self._shown():
            for name, value, labels in self._of_job(job):
                add(name, value, job.id, *labels)
        return [f for f in families.values() if f.samples]

    def _shown(self) -> list[JobRecord]:
        """Jobs at work, and those that ended a short while ago."""
        oldest = time.time() - self._context.settings.metrics_retention_seconds
        active, _ = self._context.store.list_jobs(_JOB_LIMIT, states=ACTIVE, where=_TRAINING)
        ended, _ = self._context.store.list_jobs(
            _JOB_LIMIT, states=set(STATES) - ACTIVE, where=_TRAINING
        )
        return [*active, *(j for j in ended if (j.finished_at or 0) >= oldest)][:_JOB_LIMIT]

    def _of_job(self, job: JobRecord) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
        """Yield series, value and the labels after the job's id."""
        spec, progress = job.training, job.progress or {}
        # The driver's bound falls when a stage ends before its steps are used up.
        step, total = progress.get("step", 0), progress.get("total_steps") or spec.total_steps
        yield "laconic_job_info", 1, (job.name, job.preset or "")
        for state in STATES:
            yield "laconic_job_state", int(state == job.state), (state,)
        for index, stage in enumerate(spec.stages):
            yield "laconic_job_phase", int(index == progress.get("stage_index")), (stage.name,)
        yield "laconic_job_attempt", job.attempt, ()
        yield "laconic_job_step", step, ()
        yield "laconic_job_target_steps", total, ()
        yield "laconic_job_progress_ratio", step / total, ()
        yield "laconic_job_eta_seconds", progress.get("eta_seconds"), ()
        yield "laconic_job_heartbeat_timestamp_seconds", job.heartbeat_at, ()
        for replay_state in get_args(State):
            yield (
                "laconic_replay_groups",
                (progress.get("replay") or {}).get(replay_state),
                (replay_state,),
            )
        yield from _of_step(self._context.store.latest_metrics(job.id) or {})
        folder = self._context.settings.home.job(job.id).evaluations
        for label, accuracy, length in _evaluations(folder):
            yield "laconic_eval_accuracy_ratio", accuracy, (label,)
            yield "laconic_eval_response_length_tokens_mean", length, (label,)


def _of_step(record: Mapping[str, Any]) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for series in CATALOGUE:
        if series.field is not None:
            yield series.name, record.get(series.field), ()
    for phase, seconds in (record.get("seconds") or {}).items():
        yield "laconic_step_seconds", seconds, (phase,)
    for verdict, count in (record.get("verdicts") or {}).items():
        yield "laconic_verdicts_last_step", count, (verdict,)
    samples = record.get("samples") or {}
    yield "laconic_samples_in_flight", samples.get("in_flight"), ()
    yield "laconic_samples_generated_total", samples.get("generated"), ()
    yield "laconic_samples_total", samples.get("trained"), ("trained",)
    for reason, count in (samples.get("excluded") or {}).items():
        yield "laconic_samples_total", count, (reason,)


def _evaluations(folder: Path) -> Iterator[tuple[str, Any, Any]]:
    if not folder.is_dir():
        return
    for file in sorted(folder.glob("*.json")):
        yield _evaluation(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _evaluation(file: Path, _changed: int) -> tuple[str, Any, Any]:
    """Label, accuracy and mean length; the files hold every response, so they are read once."""
    content = json.loads(file.read_bytes())
    return str(content["label"]), content.get("accuracy"), content.get("length_mean")


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version("laconic")
    except PackageNotFoundError:
        return "unknown"


def _family(series: Series) -> Family:
    kind = GaugeMetricFamily if series.kind == "gauge" else CounterMetricFamily
    return kind(series.name, series.help, labels=BY_NAME[series.name].labels)
