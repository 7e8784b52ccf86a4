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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import httpx

from api.dependencies import Context
from services.control.webhook_signature import headers
from services.control.webhook_target import BadTarget, check
from services.control.webhooks import Delivery, Topic, Webhook, retry_delay
from services.stores.identity import new_suffix
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.protocol import EventRecord, JobNotFound, JobRecord

log = logging.getLogger("laconic.webhooks")

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
_LEASE_SECONDS: Final = 60.0
"""Longer than an attempt can take: whoever took a delivery and is gone by then has died."""
_AT_ONCE: Final = 8
_BATCH: Final = 200
_KEEP_SECONDS: Final = 7 * 24 * 3600.0
"""How long a delivery that is done with can be looked at."""
_GONE: Final = 410

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
        self._thread = threading.Thread(target=self._loop, name="webhooks", daemon=True)
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after what it is sending; the rest waits for the next start."""
        self._ending.set()
        self._thread.join(timeout=30)
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _loop(self) -> None:
        trimmed = 0.0
        while not self._ending.wait(self._context.settings.poll_seconds):
            try:
                self.collect()
                self.send_due()
                if time.time() - trimmed > 3600:
                    trimmed = time.time()
                    self._store.trim(trimmed - _KEEP_SECONDS)
            except Exception:
                log.exception("webhooks could not be served; the next try follows")

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
        cursor: str | None = None
        while True:
            page, cursor = self._context.store.list_jobs(100, cursor, ACTIVE)
            for job in page:
                seen.add(job.id)
                yield job
            if cursor is None:
                break
        for job_id in self._store.open_jobs():
            if job_id not in seen:
                try:
                    yield self._context.store.get_job(job_id)
                except JobNotFound:
                    self._store.enqueue(job_id, 0, True, [])

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
        """Send what is due, several at once, and wait for all."""
        due = self._store.take_due(time.time(), _LEASE_SECONDS, _AT_ONCE)
        for outcome in list(self._workers.map(self._attempt, due)):
            self._store.put(outcome)

    def _attempt(self, delivery: Delivery) -> Delivery:
        """Make one attempt; return the delivery as it is afterwards."""
        webhook = self._store.find(delivery.webhook_id)
        attempts = delivery.attempts + 1
        if webhook is None or webhook.disabled is not None:
            why = "the webhook is disabled" if webhook else "the webhook is gone"
            return replace(delivery, state="dead", error=why)
        status, error = self._post(webhook, delivery)
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

    def _post(self, webhook: Webhook, delivery: Delivery) -> tuple[int | None, str | None]:
        """Send; return the status, and what was wrong if anything was."""
        now = time.time()
        try:
            # Checked again at each attempt: the name may have moved since.
            target = check(webhook.url, self._context.settings.webhook_networks)
        except BadTarget as error:
            return None, str(error)
        sent = {
            **headers(delivery.id, now, delivery.body, webhook.secrets(now)),
            "content-type": "application/json",
            "host": target.authority,
            "user-agent": "laconic-webhooks/1",
        }
        try:
            with (
                httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client,
                client.stream(
                    "POST",
                    target.url,
                    content=delivery.body.encode(),
                    headers=sent,
                    extensions={"sni_hostname": target.host},
                ) as response,
            ):
                # The body is not read: it could be endless, and nobody asks for it.
                status = response.status_code
        except httpx.HTTPError as error:
            return None, f"{type(error).__name__}: {error}"[:300]
        if 200 <= status < 300:
            return status, None
        return status, f"the receiver answered {status}"


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
