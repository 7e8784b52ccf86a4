"""How much of this server one caller, or all of them, may take."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any, Final

from services.control.quotas import Quota

_GIB: Final = 2**30


@dataclass(frozen=True)
class Limits:
    """Each has an environment variable of its name: ``LACONIC_MAX_BODY_BYTES`` and so on."""

    max_body_bytes: int = 4 * 2**20
    """A longer body is refused while it is still coming in."""
    max_body_seconds: float = 30.0
    """Longest wait for a whole body."""
    max_header_seconds: float = 10.0
    """Longest wait for the head of a request; a connection without one is closed."""
    max_connections: int = 2000
    """Open at the same time; one more is answered 503 and closed."""
    max_connections_per_address: int = 700
    """Of one IPv4 address or IPv6 network of 64 bits; one more is answered 429 and closed. Room for
    all streams of one key and a hundred requests beside them, and no more than about a third of
    all. Behind a proxy, whose address all connections have, set it as high as that of all."""
    max_stall_seconds: float = 60.0
    """A connection whose other end takes no byte of what it is sent for this long is cut off."""
    max_streams: int = 1000
    """Event and log streams of all callers."""
    max_streams_per_key: int = 600
    """Event and log streams of one caller."""
    max_stream_lag: int = 10_000
    """Events a stream may be behind the newest one before it skips ahead and says so."""
    max_heavy: int = 8
    """Requests at work that take seconds rather than milliseconds: checks of a job, its estimate,
    reports, digests of files, names to look up. Others wait for their turn, tenants in turns."""
    max_heavy_per_tenant: int = 2
    """Of these, of one tenant."""
    max_heavy_waiting: int = 16
    """Of one tenant, at work or waiting; one more is answered 503."""
    rate_per_second: float = 500.0
    """Requests of one key, or of one address without a key."""
    rate_burst: float = 1000.0
    """Requests at once."""
    quota_jobs: int = 0
    """Jobs of a tenant that are queued or at work; 0 is no bound. Tenants may have their own
    (``laconic quota set``)."""
    quota_workers: int = 0
    """Workers of those jobs; 0 is no bound."""
    quota_storage_gib: float = 0.0
    """What all jobs of a tenant hold on disk; 0 is no bound."""

    @classmethod
    def from_environment(cls) -> Limits:
        """Read the environment.

        Raises:
            ValueError: a variable is not a number of its kind; the message names it.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            variable = f"LACONIC_{field.name.upper()}"
            if (text := os.environ.get(variable)) is None:
                continue
            least = 0 if field.name.startswith("quota") else 1
            try:
                value = int(text) if isinstance(field.default, int) else float(text)
            except ValueError:
                value = -1
            if not value >= least:
                raise ValueError(f"{variable} must be a number of at least {least}, not {text!r}")
            values[field.name] = value
        return cls(**values)

    @property
    def quota(self) -> Quota:
        """Of a tenant that has none of its own."""
        return Quota(
            jobs=self.quota_jobs or None,
            workers=self.quota_workers or None,
            storage_bytes=int(self.quota_storage_gib * _GIB) or None,
        )
