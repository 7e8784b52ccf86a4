"""Tells webhooks what happens to jobs: a thread of the control plane.

Two steps, so that nothing is lost or told twice when the process ends in between. First, what the
event logs of the jobs say is put into a durable outbox, together with how far each log was read.
Then what is in the outbox is sent, again and again until it is taken or given up.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Final

from api.dependencies import Context
from api.webhook_attempt import attempt
from services.control.webhooks import Delivery, Topic, Webhook, retry_delay
from services.stores.identity import new_suffix
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.listing import JobFilter
from services.stores.protocol import EventRecord, JobNotFound, JobRecord, JobStore

log = logging.getLogger("laconic.webhooks")

_LEASE_SECONDS: Final = 60.0
"""Longer than an attempt can take: whoever took a delivery and is gone by then has died."""
_AT_ONCE: Final = 32
"""Attempts under way at the same time; all take no more than a thread that waits."""
_PER_TENANT: Final = 8
_PER_WEBHOOK: Final = 2
_BATCH: Final = 200
_KEEP_SECONDS: Final = 7 * 24 * 3600.0
"""How long a delivery that is done with can be looked at."""
_GONE: Final = 410
_STOP_SECONDS: Final = 2.0
"""How long the end waits for attempts under way, so that few are made twice."""

_TOPICS: Final[dict[str, Topic]] = {
    "queued": "job.created",
    "running": "job.running",
    "paused": "job.paused",
    "interrupted": "job.interrupted",
    "succeeded": "job.succeeded",
    "failed": "job.failed",
    "cancelled": "job.cancelled",
}


class WebhookDispatcher:
    """Lives from :meth:`start` to :meth:`stop`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.control.webhooks
        self._ending = threading.Event()
        self._room = threading.Event()
        """Set when an attempt has ended: what waited for its place can be sent."""
        self._lock = threading.Lock()
        self._at_work: dict[int, str] = {}
        """Attempts under way, and the webhook of each."""
        self._numbers = count()
        self._thread = threading.Thread(target=self._loop, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin no attempt any more. Those under way go on as long as the process does; what they
        do not bring to its end is sent again when its lease has run out."""
        ends = time.monotonic() + _STOP_SECONDS
        self._ending.set()
        self._room.set()
        self._thread.join(timeout=_STOP_SECONDS)
        while self._at_work and time.monotonic() < ends:
            time.sleep(0.02)

    def _loop(self) -> None:
        looked = trimmed = 0.0
        tick = self._context.settings.poll_seconds
        while not self._ending.is_set():
            self._room.wait(max(0.0, looked + tick - time.monotonic()))
            self._room.clear()
            try:
                if time.monotonic() - looked >= tick:
                    looked = time.monotonic()
                    self.collect()
                self.send_due()
                if time.time() - trimmed > 3600:
                    trimmed = time.time()
                    self._store.trim(trimmed - _KEEP_SECONDS)
            except Exception:
                log.exception("webhooks could not be served; the next try follows")
                self._ending.wait(tick)

    # -- first step: from the event logs into the outbox ----------------------------------------

    def collect(self) -> None:
        """Put what has happened since the last look into the outbox."""
        hooks = [w for w in self._store.of_tenant(None) if w.disabled is None]
        if not hooks:
            return
        for job in self._jobs():
            wanted = [w for w in hooks if w.tenant == job.tenant]
            self._collect_job(job, wanted)

    def _jobs(self) -> Iterator[JobRecord]:
        """Jobs that may have news: those at work, and those not read to their end."""
        seen = set()
        for job in active_jobs(self._context.store):
            seen.add(job.id)
            yield job
        for job_id in self._store.open_jobs():
            if job_id not in seen and (ended := self._forget_if_gone(job_id)) is not None:
                yield ended

    def _forget_if_gone(self, job_id: str) -> JobRecord | None:
        try:
            return self._context.store.get_job(job_id)
        except JobNotFound:
            self._store.enqueue(job_id, 0, True, [])
            return None

    def _collect_job(self, job: JobRecord, hooks: list[Webhook]) -> None:
        position = self._store.position(job.id)
        known = position is not None
        position = position or 0
        while True:
            events = self._context.store.events(job.id, position, _BATCH)
            if not events and known:
                break
            deliveries = [d for e in events for d in deliveries_of(job, e, hooks)]
            position = events[-1].id if events else position
            self._store.enqueue(job.id, position, False, deliveries)
            known = True
        # The state was read before the events were: whatever ended the job is in the outbox.
        if job.state not in ACTIVE:
            self._store.enqueue(job.id, position, True, [])

    # -- second step: from the outbox to the receivers ------------------------------------------

    def send_due(self) -> None:
        """Begin an attempt for what is due, as far as there is room; wait for none of them."""
        tenants = {w.id: w.tenant for w in self._store.of_tenant(None)}
        while not self._ending.is_set():
            with self._lock:
                if len(self._at_work) >= _AT_ONCE:
                    return
                full = self._full(tenants)
            due = self._store.take_due(time.time(), _LEASE_SECONDS, 1, full)
            if not due:
                return
            number = next(self._numbers)
            with self._lock:
                self._at_work[number] = due[0].webhook_id
            # A thread that the end of the process need not wait for: the delivery is leased, and is
            # sent again once that has run out.
            threading.Thread(
                target=self._serve, args=(number, due[0]), name=f"webhook-{number}", daemon=True
            ).start()

    def _full(self, tenants: dict[str, str]) -> frozenset[str]:
        """Webhooks that have as many attempts under way as they may: a receiver that takes its
        time, or all those of one tenant, leave room for the others."""
        each = Counter(self._at_work.values())
        of_tenant = Counter(tenants[w] for w in self._at_work.values() if w in tenants)
        return frozenset(
            webhook
            for webhook, tenant in tenants.items()
            if each[webhook] >= _PER_WEBHOOK or of_tenant[tenant] >= _PER_TENANT
        )

    def _serve(self, number: int, delivery: Delivery) -> None:
        try:
            self._store.put(self._attempt(delivery))
        except Exception:
            log.exception("delivery %s failed; it is sent again", delivery.id)
        finally:
            with self._lock:
                del self._at_work[number]
            self._room.set()

    def _attempt(self, delivery: Delivery) -> Delivery:
        """Make one attempt; return the delivery as it is afterwards."""
        webhook = self._store.find(delivery.webhook_id)
        attempts = delivery.attempts + 1
        if webhook is None or webhook.disabled is not None:
            why = "the webhook is disabled" if webhook else "the webhook is gone"
            return replace(delivery, state="dead", error=why)
        status, error = attempt(webhook, delivery, self._context.settings.webhook_networks)
        if error is None:
            return replace(
                delivery, state="delivered", attempts=attempts, status=status, error=None
            )
        if status == _GONE:
            gone = replace(webhook, disabled="its receiver answered 410 Gone")
            self._store.replace(gone)
        wait = None if status == _GONE else retry_delay(attempts)
        return replace(
            delivery,
            state="dead" if wait is None else "pending",
            attempts=attempts,
            status=status,
            error=error,
            due_at=time.time() + (wait or 0.0),
        )


def active_jobs(store: JobStore, tenant: str | None = None) -> Iterator[JobRecord]:
    """Jobs that have or will have a driver, of a tenant or of all."""
    cursor: str | None = None
    while True:
        page, cursor = store.list_jobs(100, cursor, ACTIVE, JobFilter(tenant=tenant))
        yield from page
        if cursor is None:
            return


def topic_of(event: EventRecord) -> Topic | None:
    """What webhooks call an event, None for one that they are not told of."""
    if event.type == "created":
        return "job.created"
    if event.type == "state":
        state: JobState | str = event.data.get("to", "")
        # Back to the queue is a resume, which the state running will tell.
        return None if state == "queued" else _TOPICS.get(state)
    return "job.stage" if event.type == "stage" else None


def deliveries_of(job: JobRecord, event: EventRecord, hooks: list[Webhook]) -> list[Delivery]:
    """What goes out for an event. Ids are made of event and webhook, so an event that is read twice
    goes out once."""
    topic = topic_of(event)
    if topic is None:
        return []
    body = json.dumps(
        {
            "type": topic,
            "timestamp": event.time,
            "data": {
                "job": job.id,
                "name": job.name,
                "tenant": job.tenant,
                "labels": job.labels,
                "attempt": event.attempt,
                "event": event.id,
                "message": event.message,
                **event.data,
            },
        }
    )
    return [
        _delivery(f"msg-{job.id}-{event.id}-{w.id}", w, topic, body)
        for w in hooks
        if topic in w.topics and event.time >= w.created_at
    ]


def test_delivery(webhook: Webhook) -> Delivery:
    """A message that only shows that messages arrive."""
    body = {"type": "webhook.test", "timestamp": time.time(), "data": {"webhook": webhook.id}}
    return _delivery(f"msg-test-{new_suffix()}", webhook, "webhook.test", json.dumps(body))


def _delivery(message: str, webhook: Webhook, topic: Topic, body: str) -> Delivery:
    now = time.time()
    return Delivery(
        id=message,
        webhook_id=webhook.id,
        topic=topic,
        body=body,
        state="pending",
        attempts=0,
        created_at=now,
        due_at=now,
    )
