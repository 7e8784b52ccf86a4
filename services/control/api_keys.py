"""API keys: made here, shown once, kept as a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Protocol

from services.control.principal import Principal, Scope
from services.stores.protocol import DEFAULT_TENANT

_TOKEN: Final = re.compile(r"lk_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
TOKEN_FORM: Final = "lk_, 8 small letters or digits, _, and 43 letters, digits, - or _"
"""How a token is written, in words."""
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
TENANT: Final = r"^[a-z0-9][a-z0-9-]{0,39}$"
"""What a tenant may be called."""


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept; the token itself is not. Times are Unix seconds."""

    id: str
    """``key-`` and the eight characters that also open the token."""
    name: str
    tenant: str
    scopes: frozenset[Scope]
    digest: str
    """HMAC-SHA256 of the token under the secret of the control plane."""
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    old_digest: str | None = None
    """Of the token before the last rotation."""
    old_until: float | None = None
    """When that one stops to count."""

    @property
    def prefix(self) -> str:
        """What may be shown of the token."""
        return "lk_" + self.id.removeprefix("key-")

    @property
    def principal(self) -> Principal:
        """Who the bearer is."""
        return Principal(self.name, self.tenant, self.scopes, self.id)

    def status(self, now: float) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "active"


class KeyStore(Protocol):
    """Where keys are kept. Safe from several processes and threads."""

    def add(self, key: ApiKey) -> bool:
        """Keep a new key. False where there is one of its id, which stays as it is: of two that add
        it at once, one is told that it did."""
        ...

    def find(self, key_id: str) -> ApiKey | None: ...

    def all(self) -> list[ApiKey]:
        """Every key there ever was, oldest first."""
        ...

    def replace(self, key: ApiKey) -> None:
        """Write what changed of a key that is there; :meth:`touch` alone says when it was used."""
        ...

    def touch(self, key_id: str, now: float) -> None:
        """Note that the key was used."""
        ...

    def any(self) -> bool:
        """Whether there is a key, whatever its status: requests need one from then on."""
        ...


class BadToken(ValueError):
    """The token opens nothing; the message says why and gives nothing away."""


def make_key(
    secret: bytes,
    *,
    name: str,
    scopes: Collection[Scope],
    now: float,
    tenant: str = DEFAULT_TENANT,
    lifetime: float | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and its token, which nobody can show again.

    Args:
        secret: of the control plane.
        name: whom it is for.
        scopes: what the bearer may do.
        now: Unix seconds.
        tenant: whose jobs the bearer sees.
        lifetime: seconds until it expires; None never.
    """
    token = _new_token("".join(secrets.choice(_ALPHABET) for _ in range(8)))
    key = key_of(secret, token, name=name, scopes=scopes, now=now, tenant=tenant)
    return replace(key, expires_at=None if lifetime is None else now + lifetime), token


def key_of(
    secret: bytes, token: str, *, name: str, scopes: Collection[Scope], now: float, tenant: str
) -> ApiKey:
    """Return the key that a token made elsewhere opens; the other arguments as for
    :func:`make_key`.

    Raises:
        BadToken: it is no token; the message does not show it.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise BadToken(f"this is no token; one is written {TOKEN_FORM}")
    return ApiKey(
        id=f"key-{match[1]}",
        name=name,
        tenant=tenant,
        scopes=frozenset(scopes),
        digest=digest(secret, token),
        created_at=now,
    )


def rotate(secret: bytes, key: ApiKey, *, now: float, overlap: float) -> tuple[ApiKey, str]:
    """Return the key with a new token, and the token. The old one counts for ``overlap`` seconds
    more."""
    token = _new_token(key.id.removeprefix("key-"))
    changed = replace(
        key, digest=digest(secret, token), old_digest=key.digest, old_until=now + overlap
    )
    return changed, token


def verify(secret: bytes, keys: KeyStore, token: str, now: float) -> ApiKey:
    """Return the key a token belongs to.

    Raises:
        BadToken: it belongs to none, or to one that is expired or revoked.
    """
    match = _TOKEN.fullmatch(token)
    key = keys.find(f"key-{match[1]}") if match else None
    given = digest(secret, token)
    # Compared even where there is no such key, so that the time taken says nothing.
    fits = hmac.compare_digest(key.digest if key else "0" * 64, given)
    if key and key.old_digest and key.old_until and now < key.old_until:
        fits = hmac.compare_digest(key.old_digest, given) or fits
    if key is None or not fits:
        raise BadToken("the key is not valid; see laconic keys list")
    if (status := key.status(now)) != "active":
        raise BadToken(f"the key is {status}; make another with laconic keys create")
    return key


def digest(secret: bytes, token: str) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret, token.encode(), hashlib.sha256).hexdigest()


def _new_token(handle: str) -> str:
    return f"lk_{handle}_{secrets.token_urlsafe(32)}"
