"""Things to keep: an audit entry, a webhook, its deliveries."""

from __future__ import annotations

from services.control.audit import AuditEntry
from services.control.webhooks import Delivery, Webhook


def entry(**changes):
    values = {
        "time": 1.0,
        "tenant": "a",
        "actor": "ci",
        "key_id": "key-x",
        "address": "127.0.0.1",
        "method": "POST",
        "path": "/v1/jobs",
        "operation": "createJob",
        "status": 201,
        "code": None,
        "request_id": "req-1",
    }
    return AuditEntry(**{**values, **changes})


def delivery(number, **changes):
    values = {
        "id": f"msg-{number}",
        "webhook_id": "wh-1",
        "topic": "job.failed",
        "body": "{}",
        "state": "pending",
        "attempts": 0,
        "created_at": 10.0 + number,
        "due_at": 10.0 + number,
    }
    return Delivery(**{**values, **changes})


WEBHOOK = Webhook(
    id="wh-1",
    tenant="a",
    url="https://example.com/",
    topics=frozenset({"job.failed"}),
    secret="whsec_x",
    created_at=1.0,
)
