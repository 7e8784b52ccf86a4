"""Cursors of listings: opaque, signed, and good only for the listing they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

_SIGNATURE_BYTES: Final = 12


class BadCursor(ValueError):
    """Not a cursor of this listing."""

    def __init__(self) -> None:
        super().__init__(
            "this is not a cursor of this listing; use next_cursor of the page before, with the "
            "same filters, or leave it out to begin at the first page"
        )


def seal(secret: bytes, position: str, listing: Mapping[str, Any]) -> str:
    """Return the cursor of a position in a listing, which its filters name."""
    payload = position.encode()
    return base64.urlsafe_b64encode(_sign(secret, payload, listing) + payload).decode().rstrip("=")


def unseal(secret: bytes, cursor: str, listing: Mapping[str, Any]) -> str:
    """Return the position of a cursor.

    Raises:
        BadCursor: it was changed, made elsewhere, or belongs to another listing.
    """
    try:
        raw = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadCursor from error
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(secret, payload, listing)):
        raise BadCursor
    return payload.decode()


def _sign(secret: bytes, payload: bytes, listing: Mapping[str, Any]) -> bytes:
    about = json.dumps(listing, sort_keys=True).encode()
    mac = hmac.new(secret, b"cursor\0" + payload + b"\0" + about, hashlib.sha256)
    return mac.digest()[:_SIGNATURE_BYTES]
