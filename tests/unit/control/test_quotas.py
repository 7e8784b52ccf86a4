"""Quotas at their bounds."""

from __future__ import annotations

from services.control.quotas import Quota, Usage, objection, workers_of
from services.control.webhooks import MAX_ATTEMPTS, RETRY_SECONDS, retry_delay
from services.presets.registry import resolve


def test_each_bound_on_either_side():
    quota = Quota(jobs=2, workers=6, storage_bytes=100)
    assert objection(quota, Usage(1, 3, 99), 3) is None
    assert "2 jobs are queued" in str(objection(quota, Usage(2, 0, 0), 1))
    assert "asks for 4 workers" in str(objection(quota, Usage(1, 3, 0), 4))
    assert "on disk" in str(objection(quota, Usage(0, 0, 100), 1))
    assert objection(Quota(), Usage(10**6, 10**6, 10**15), 10**6) is None


def test_every_process_of_a_job_is_a_worker():
    spec = resolve("paper-1.5b")
    assert workers_of(spec) == 4 + 4 + 8


def test_deliveries_wait_longer_each_time_and_end():
    waits = [retry_delay(n, jitter=0.5) for n in range(1, MAX_ATTEMPTS + 1)]
    assert waits == [*RETRY_SECONDS, None]
    assert retry_delay(1, jitter=0) < retry_delay(1, jitter=1)
