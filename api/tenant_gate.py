"""A bound on work that takes seconds: so much of it at a time, and so much of that for a tenant."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from api.problems import ApiProblem


class TenantGate:
    """Lets requests through as there is room, tenants by turns. Lives in the event loop; a request
    that waits holds no thread."""

    def __init__(
        self, *, at_once: int, per_tenant: int, most: int, patience: float, code: str, what: str
    ) -> None:
        """Nothing is at work yet.

        Args:
            at_once: requests at work, of all tenants.
            per_tenant: requests at work, of one of them.
            most: requests at work or waiting, of one of them.
            patience: seconds a request waits for its turn.
            code: of the problem that one too many is answered with.
            what: the work, in words.
        """
        self._at_once, self._per_tenant, self._most = at_once, per_tenant, most
        self._patience, self._code, self._what = patience, code, what
        self._at_work: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """By tenant, in the order of their turns; a tenant without a request is not kept."""

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place and hold it as long as the context is open.

        Raises:
            ApiProblem: 503, the tenant has too many requests, or none had its turn in time.
        """
        await self._enter(tenant)
        try:
            yield
        finally:
            self._leave(tenant)

    async def _enter(self, tenant: str) -> None:
        if self._has_room(tenant):
            self._at_work[tenant] += 1
            return
        queue = self._waiting.get(tenant, ())
        if self._at_work[tenant] + len(queue) >= self._most:
            raise self._busy()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave(tenant)  # Its turn came in the very moment it gave up.
            else:
                self._forget(tenant, turn)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def _has_room(self, tenant: str) -> bool:
        here = self._at_work[tenant] < self._per_tenant
        return here and self._at_work.total() < self._at_once

    def _leave(self, tenant: str) -> None:
        self._at_work[tenant] -= 1
        for next_one in list(self._waiting):
            if self._has_room(next_one):
                turn = self._waiting[next_one][0]
                self._forget(next_one, turn)
                if next_one in self._waiting:
                    self._waiting.move_to_end(next_one)
                if not turn.done():
                    self._at_work[next_one] += 1
                    turn.set_result(None)
        if not self._at_work[tenant]:
            del self._at_work[tenant]

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(tenant, deque())
        with suppress(ValueError):
            queue.remove(turn)
        if not queue:
            self._waiting.pop(tenant, None)

    def _busy(self) -> ApiProblem:
        detail = f"too many requests for {self._what} are at work or waiting; try again in a moment"
        return ApiProblem(503, self._code, detail, headers={"Retry-After": "5"})
