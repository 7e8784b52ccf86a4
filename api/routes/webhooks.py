"""Webhooks: addresses that are told what happens to jobs, and what became of each message."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.answers.webhooks import (
    CreateWebhook,
    DeliveryPage,
    DeliveryView,
    WebhookList,
    WebhookView,
    WebhookWithSecret,
)
from api.dependencies import Caller, Context, Ctx, Reserved
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.webhook_dispatch import active_jobs, test_delivery
from services.control.cursor import seal, unseal
from services.control.principal import Principal
from services.control.webhook_signature import new_secret
from services.control.webhook_target import BadTarget, check
from services.control.webhooks import (
    OVERLAP_SECONDS,
    Delivery,
    Webhook,
)
from services.spec.problems import Problem
from services.stores.identity import new_suffix

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=Operation)

_MOST: Final = 20


@router.post(
    "",
    status_code=201,
    response_model=WebhookWithSecret,
    operation_id="createWebhook",
    openapi_extra=needs("webhooks:write", heavy=True),
)
def create(
    body: CreateWebhook, response: Response, context: Ctx, caller: Caller, reserved: Reserved
) -> WebhookWithSecret:
    """Tell an address what happens to the tenant's jobs from now on."""
    store = context.control.webhooks
    if len(store.of_tenant(caller.tenant)) >= _MOST:
        detail = f"tenant {caller.tenant} has {_MOST} webhooks, which is all there may be"
        raise ApiProblem(403, "quota_exceeded", detail)
    try:
        check(body.url, context.settings.webhook_networks)
    except BadTarget as error:
        problem = Problem("/url", str(error))
        raise ApiProblem(422, "bad_webhook_target", str(error), errors=[problem]) from error
    webhook = store.add(
        Webhook(
            id=f"wh-{reserved or new_suffix()}",
            tenant=caller.tenant,
            url=body.url,
            topics=frozenset(body.topics),
            secret=new_secret(),
            created_at=time.time(),
            description=body.description,
        )
    )
    # What is at work now may have ended before anybody looks.
    store.follow([j.id for j in active_jobs(context.store, caller.tenant)])
    response.headers["Location"] = f"/v1/webhooks/{webhook.id}"
    return _with_secret(webhook)


@router.get(
    "",
    response_model=WebhookList,
    operation_id="listWebhooks",
    openapi_extra=needs("webhooks:write"),
)
def list_webhooks(context: Ctx, caller: Caller) -> WebhookList:
    """The tenant's webhooks, oldest first."""
    tenant = None if caller.is_admin else caller.tenant
    return WebhookList(data=[_view(w) for w in context.control.webhooks.of_tenant(tenant)])


@router.get(
    "/{webhook_id}",
    response_model=WebhookView,
    operation_id="getWebhook",
    openapi_extra=needs("webhooks:write"),
)
def get(webhook_id: str, context: Ctx, caller: Caller) -> WebhookView:
    """A webhook, without its secret."""
    return _view(_found(context, caller, webhook_id))


@router.delete(
    "/{webhook_id}",
    status_code=204,
    operation_id="deleteWebhook",
    openapi_extra=needs("webhooks:write"),
)
def delete(webhook_id: str, context: Ctx, caller: Caller) -> Response:
    """Tell it nothing more; what has not been sent is dropped."""
    context.control.webhooks.remove(_found(context, caller, webhook_id).id)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate",
    response_model=WebhookWithSecret,
    operation_id="rotateWebhookSecret",
    openapi_extra=needs("webhooks:write"),
)
def rotate(webhook_id: str, context: Ctx, caller: Caller) -> WebhookWithSecret:
    """Give it a new secret. For a day messages carry a signature of each. A webhook that was
    disabled is told again."""
    old = _found(context, caller, webhook_id)
    new = replace(
        old,
        secret=new_secret(),
        old_secret=old.secret,
        old_until=time.time() + OVERLAP_SECONDS,
        disabled=None,
    )
    context.control.webhooks.replace(new)
    return _with_secret(new)


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    response_model=DeliveryView,
    operation_id="testWebhook",
    openapi_extra=needs("webhooks:write"),
)
def send_test(webhook_id: str, context: Ctx, caller: Caller) -> DeliveryView:
    """Send it a message of the topic ``webhook.test``."""
    delivery = test_delivery(_found(context, caller, webhook_id))
    context.control.webhooks.put(delivery)
    return _delivery_view(delivery)


@router.get(
    "/{webhook_id}/deliveries",
    response_model=DeliveryPage,
    operation_id="listDeliveries",
    openapi_extra=needs("webhooks:write"),
)
def deliveries(
    webhook_id: str,
    context: Ctx,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(max_length=500, description="next_cursor of the page before")
    ] = None,
) -> DeliveryPage:
    """What was sent, is due, or was given up (``dead``); kept for a week."""
    webhook = _found(context, caller, webhook_id)
    listing = {"deliveries": webhook.id}
    position = None if after is None else unseal(context.secret, after, listing)
    found = context.control.webhooks.deliveries(webhook.id, position, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return DeliveryPage(
        data=[_delivery_view(d) for d in page],
        has_more=more,
        next_cursor=seal(context.secret, page[-1].id, listing) if more else None,
    )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    response_model=DeliveryView,
    operation_id="redeliver",
    openapi_extra=needs("webhooks:write"),
)
def redeliver(webhook_id: str, delivery_id: str, context: Ctx, caller: Caller) -> DeliveryView:
    """Send a message once more, with all its attempts before it."""
    webhook = _found(context, caller, webhook_id)
    delivery = context.control.webhooks.delivery(delivery_id)
    if delivery is None or delivery.webhook_id != webhook.id:
        detail = f"webhook {webhook.id} has no delivery {delivery_id[:100]!r}"
        raise ApiProblem(404, "delivery_not_found", detail)
    again = replace(delivery, state="pending", attempts=0, due_at=time.time(), error=None)
    context.control.webhooks.put(again)
    return _delivery_view(again)


def _found(context: Context, caller: Principal, webhook_id: str) -> Webhook:
    webhook = context.control.webhooks.find(webhook_id)
    if webhook is None or not caller.sees(webhook.tenant):
        detail = f"there is no webhook {webhook_id[:100]!r}; GET /v1/webhooks lists them"
        raise ApiProblem(404, "webhook_not_found", detail)
    return webhook


def _fields(webhook: Webhook) -> dict[str, object]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "topics": sorted(webhook.topics),
        "description": webhook.description,
        "created_at": webhook.created_at,
        "disabled": webhook.disabled,
        "old_secret_until": webhook.old_until,
    }


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(**_fields(webhook))


def _with_secret(webhook: Webhook) -> WebhookWithSecret:
    return WebhookWithSecret(**_fields(webhook), secret=webhook.secret)


def _delivery_view(delivery: Delivery) -> DeliveryView:
    kept = {name: getattr(delivery, name) for name in DeliveryView.model_fields}
    return DeliveryView(**kept)
