"""The control plane's own verification pools: started by the first request, closed with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from algorithms.trajectory import Judgement
from api.problems import ApiProblem
from api.tenant_gate import TenantGate
from services.spec.job import VerifierSpec
from services.spec.problems import Problem
from services.verification.case import Case
from services.verification.kinds import UnknownKind
from services.verification.pool import PoolClosed, PoolStalled, VerificationPool

WITHIN_SECONDS: Final = 60.0
"""Longest time for one request; what is not judged by then gets the verdict ``timeout``."""
_AT_WORK: Final = 4
"""Requests judged at the same time; their cases take turns in the pool."""
_AT_MOST: Final = 16
"""Requests of a tenant judged or waiting; one more is told to come back."""
_OF_A_TENANT: Final = 3
"""Requests of a tenant judged at the same time: one place is left to the others."""


class Verification:
    """One pool for each verifier that was asked for."""

    def __init__(self, workers: int) -> None:
        """Start nothing yet."""
        self._spec = VerifierSpec(workers=workers)
        self._pools: dict[str, VerificationPool] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._threads = ThreadPoolExecutor(_AT_WORK, thread_name_prefix="verify")
        self._gate = TenantGate(
            at_once=_AT_WORK,
            per_tenant=_OF_A_TENANT,
            most=_AT_MOST,
            patience=WITHIN_SECONDS,
            code="verification_busy",
            what="verdicts",
        )

    async def judge(
        self, cases: Sequence[Case], kind: str, job: str, tenant: str
    ) -> list[Judgement]:
        """Judge cases without keeping the event loop from anything else.

        Args:
            job: requests of different jobs take turns.
            tenant: who asks; so do those of different tenants.

        Raises:
            ApiProblem: 422 for an unknown verifier, 503 when too many requests wait, when the
                control plane ends, or when the pool brings no verdicts.
        """
        if self._closed:
            raise _closing()
        async with self._gate.place(tenant):
            if self._closed:
                raise _closing()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._judge, cases, kind, job)

    def _judge(self, cases: Sequence[Case], kind: str, job: str) -> list[Judgement]:
        try:
            return self._pool(kind).judge(cases, job=job, within=WITHIN_SECONDS)
        except UnknownKind as error:
            problems = [Problem("/kind", str(error))]
            raise ApiProblem(422, "unknown_verifier", str(error), errors=problems) from error
        except PoolClosed as error:
            raise _closing() from error
        except PoolStalled as error:
            raise ApiProblem(503, "verification_unavailable", str(error)) from error

    def _pool(self, kind: str) -> VerificationPool:
        with self._lock:
            if self._closed:
                raise PoolClosed("the control plane ends")
            if kind not in self._pools:
                spec = self._spec
                self._pools[kind] = VerificationPool(
                    spec.workers, spec.timeout_seconds, spec.memory_mib, kind=kind
                )
            return self._pools[kind]

    def close(self) -> None:
        """End every worker process; requests that wait are answered 503."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _closing() -> ApiProblem:
    return ApiProblem(503, "closing", "the control plane is shutting down; try again later")
