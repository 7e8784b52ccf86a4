"""Keys of tokens that were made elsewhere, by a Secret or an operator."""

from __future__ import annotations

import hmac
from typing import Literal

from services.control.api_keys import ApiKey, BadToken, KeyStore

Imported = Literal["added", "known", "rotated", "revoked"]
"""What became of a key that was to be imported. ``known``: it was there. ``rotated``: it was, and
has another token by now. ``revoked``: it was, and opens nothing any more."""


def import_key(keys: KeyStore, key: ApiKey) -> Imported:
    """Keep a key of a token made elsewhere, once; one that is there stays as it is.

    Raises:
        BadToken: there is a key of this id with another token.
    """
    if keys.add(key):
        return "added"
    found = keys.find(key.id)
    assert found is not None, "keys are never taken away"
    is_old = found.old_digest is not None and hmac.compare_digest(found.old_digest, key.digest)
    if not is_old and not hmac.compare_digest(found.digest, key.digest):
        raise BadToken(
            f"{key.id} is there with another token, or under another secret of the control plane; "
            "change the eight characters behind lk_ to make it another key"
        )
    if found.revoked_at is not None:
        return "revoked"
    return "rotated" if is_old else "known"
