"""From the ``Authorization`` header to who is asking."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from typing import Final

from services.control.api_keys import BadToken, KeyStore, verify
from services.control.principal import LOCAL, Principal

FRESH_SECONDS: Final = 1.0
"""How long an answer of the store is taken for true: a revoked key opens nothing after that."""
_TOUCH_SECONDS: Final = 60.0
"""``last_used_at`` is written once in this time."""
_REMEMBERED: Final = 1000
_SCHEME: Final = "bearer "


class Unauthenticated(Exception):
    """There is no key, or none that opens anything."""


class Authenticator:
    """Asks the key store, and remembers its answers for a moment. Safe from several threads."""

    def __init__(self, keys: KeyStore, secret: bytes) -> None:
        self._keys, self._secret = keys, secret
        self.own_token = secrets.token_urlsafe(32)
        """For whoever runs this control plane in their own process; never leaves it."""
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._touched: dict[str, float] = {}
        self._needed: tuple[float, bool] = (0.0, False)

    def keys_needed(self) -> bool:
        """Whether requests need a key: from the first one on that was ever made."""
        read, needed = self._needed
        if not needed and time.monotonic() - read > FRESH_SECONDS:
            needed = self._keys.any()
            self._needed = (time.monotonic(), needed)
        return needed

    def principal(self, authorization: str | None) -> Principal:
        """Return who is asking.

        Raises:
            Unauthenticated: a key is needed and none, or none that counts, was given.
        """
        if authorization is None:
            if self.keys_needed():
                raise Unauthenticated("a key is needed: send Authorization: Bearer KEY")
            return LOCAL
        if not authorization.lower().startswith(_SCHEME):
            raise Unauthenticated("the scheme is not Bearer: send Authorization: Bearer KEY")
        token = authorization[len(_SCHEME) :].strip()
        if hmac.compare_digest(token.encode(), self.own_token.encode()):
            return LOCAL
        # A heap dump or a traceback need not hold every token there is.
        known = hashlib.sha256(token.encode()).digest()
        with self._lock:
            found = self._seen.get(known)
        if found and time.monotonic() - found[0] <= FRESH_SECONDS:
            return found[1]
        try:
            key = verify(self._secret, self._keys, token, time.time())
        except BadToken as error:
            raise Unauthenticated(str(error)) from None
        self._remember(known, key.principal)
        self._touch(key.id)
        return key.principal

    def _remember(self, known: bytes, principal: Principal) -> None:
        with self._lock:
            self._seen[known] = (time.monotonic(), principal)
            self._seen.move_to_end(known)
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def _touch(self, key_id: str) -> None:
        now = time.time()
        if now - self._touched.get(key_id, 0.0) > _TOUCH_SECONDS:
            self._touched[key_id] = now
            self._keys.touch(key_id, now)
