"""Webhooks and what became of each message."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from algorithms.strict import Strict
from services.control.webhooks import DeliveryState, Topic

JobTopic = Literal[
    "job.created",
    "job.running",
    "job.stage",
    "job.paused",
    "job.interrupted",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
]


class CreateWebhook(Strict):
    """Where to, and of what."""

    url: str = Field(min_length=1, max_length=2048)
    """https, and public unless the operator allows its network."""
    topics: list[JobTopic] = Field(min_length=1, max_length=8)
    description: str = Field(default="", max_length=200)


class WebhookView(Strict):
    """A webhook without its secret."""

    id: str
    url: str
    topics: list[Topic]
    description: str
    created_at: float
    """Unix seconds."""
    disabled: str | None
    """Why nothing is sent any more; null while something is."""
    old_secret_until: float | None
    """Until when the secret before the last rotation signs too."""


class WebhookWithSecret(WebhookView):
    """The only answers that have the secret."""

    secret: str
    """Verifies the signature of each message (Standard Webhooks)."""


class WebhookList(Strict):
    data: list[WebhookView]


class DeliveryView(Strict):
    """A message and what became of it."""

    id: str
    """Its ``webhook-id``."""
    topic: Topic
    state: DeliveryState
    attempts: int
    created_at: float
    due_at: float
    """When the next attempt is made, if it is pending."""
    status: int | None
    """HTTP status of the last attempt; null where there was no answer."""
    error: str | None
    body: str


class DeliveryPage(Strict):
    """The newest first."""

    data: list[DeliveryView]
    has_more: bool
    next_cursor: str | None
