"""One attempt to bring a message to its receiver, which takes no longer than it may."""

from __future__ import annotations

import asyncio
import ssl
import time
from functools import cache
from typing import Final

import httpx

from services.control.webhook_signature import headers
from services.control.webhook_target import BadTarget, Network, Target, check
from services.control.webhooks import Delivery, Webhook

ATTEMPT_SECONDS: Final = 10.0
"""From looking the name up to the head of the answer, whatever the receiver sends meanwhile."""


def attempt(
    webhook: Webhook,
    delivery: Delivery,
    allowed: tuple[Network, ...],
    within: float = ATTEMPT_SECONDS,
) -> tuple[int | None, str | None]:
    """Send a message once.

    Args:
        webhook: where to.
        delivery: what.
        allowed: networks that are fine although they are not public.
        within: seconds after which the connection is closed.

    Returns:
        The status of the answer, None where there was none; and what was wrong, if anything was.
    """
    ends = time.monotonic() + within
    try:
        # Checked again at each attempt: the name may have moved since.
        target = check(webhook.url, allowed)
    except BadTarget as error:
        return None, str(error)
    now = time.time()
    sent = {
        **headers(delivery.id, now, delivery.body, webhook.secrets(now)),
        "content-type": "application/json",
        "host": target.authority,
        "user-agent": "laconic-webhooks/1",
    }
    try:
        status = asyncio.run(_post(target, delivery.body.encode(), sent, ends - time.monotonic()))
    except TimeoutError:
        return None, f"the receiver has not answered within {within:g} s"
    except httpx.HTTPError as error:
        return None, f"{type(error).__name__}: {error}"[:300]
    if 200 <= status < 300:
        return status, None
    return status, f"the receiver answered {status}"


async def _post(target: Target, body: bytes, sent: dict[str, str], within: float) -> int:
    """The status of the answer. The timeouts of httpx are for each read, and a receiver that sends
    a byte now and then, or one ``100 Continue`` after another, never meets them; this one it does.
    """
    async with (
        asyncio.timeout(within),
        httpx.AsyncClient(
            timeout=within, follow_redirects=False, trust_env=False, verify=_authorities()
        ) as client,
        client.stream(
            "POST",
            target.url,
            content=body,
            headers=sent,
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        # The body is not read: it could be endless, and nobody asks for it.
        return response.status_code


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
