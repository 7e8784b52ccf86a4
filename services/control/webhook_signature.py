"""Signatures of webhooks (Standard Webhooks 1.0, symmetric)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

PREFIX: Final = "whsec_"
TOLERANCE_SECONDS: Final = 300.0
"""How far the timestamp of a message may lie from the receiver's clock."""


class BadSignature(ValueError):
    """The message was not sent by whoever holds the secret, or not now."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(message_id: str, now: float, body: str, signing: Sequence[str]) -> dict[str, str]:
    """The three headers of a message, one signature for each secret."""
    timestamp = str(int(now))
    signatures = [f"v1,{_sign(secret, message_id, timestamp, body)}" for secret in signing]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def verify(given: Mapping[str, str], body: str, secret: str, now: float) -> None:
    """What a receiver does with a message.

    Raises:
        BadSignature: a header is missing, the time is off, or no signature fits.
    """
    try:
        message_id, timestamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split(" ")
        late = abs(now - float(timestamp)) > TOLERANCE_SECONDS
    except (KeyError, ValueError) as error:
        raise BadSignature("a webhook header is missing or is none") from error
    if late:
        raise BadSignature(f"the timestamp {timestamp} is not within {TOLERANCE_SECONDS:g} s")
    expected = f"v1,{_sign(secret, message_id, timestamp, body)}"
    if not any(hmac.compare_digest(expected.encode(), s.encode()) for s in signatures):
        raise BadSignature("no signature fits the secret")


def _sign(secret: str, message_id: str, timestamp: str, body: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{message_id}.{timestamp}.{body}".encode()
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
