"""Where a learner leaves a new policy and every generator confirms having it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ray.actor import ActorHandle


class PublicationFailed(RuntimeError):
    """A generator did not confirm a published policy."""


class WeightPublisher:
    """Holds the newest policy by reference and hands it to the generators.

    No one else tells a generator about weights, so the version it serves is always one that was
    published here and whose checksum it has confirmed.
    """

    def __init__(self, generators: dict[str, ActorHandle[Any]], timeout_seconds: float) -> None:
        self._generators = generators
        self._timeout = timeout_seconds
        self._version = 0
        self._ref: list[Any] = []
        self._confirmed: dict[str, int] = dict.fromkeys(generators, 0)

    async def publish(self, version: int, ref: list[Any], checksum: str) -> dict[str, Any]:
        """Deliver a policy to every generator.

        Raises:
            PublicationFailed: a generator confirmed another checksum, or none in time.
        """
        started = time.monotonic()
        self._version, self._ref = version, ref
        await asyncio.gather(*(self._deliver(n, version, ref, checksum) for n in self._generators))
        return {"version": version, "checksum": checksum, "seconds": time.monotonic() - started}

    async def _deliver(self, name: str, version: int, ref: list[Any], checksum: str) -> None:
        call = self._generators[name].load_weights.remote(version, ref, checksum)
        try:
            confirmed = await asyncio.wait_for(call, timeout=self._timeout)
        except TimeoutError as e:
            raise PublicationFailed(
                f"{name} did not confirm policy version {version} within {self._timeout:.0f} s"
            ) from e
        if confirmed != checksum:
            raise PublicationFailed(
                f"{name} confirmed checksum {confirmed} for version {version}, expected {checksum}"
            )
        self._confirmed[name] = version

    def confirmed(self) -> dict[str, int]:
        """Return the version each generator has confirmed."""
        return dict(self._confirmed)
