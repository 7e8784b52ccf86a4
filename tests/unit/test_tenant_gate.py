"""Heavy work is let through in turns, and a tenant's share of it is bounded."""

from __future__ import annotations

import asyncio

import pytest

from api.problems import ApiProblem
from api.tenant_gate import TenantGate

pytestmark = pytest.mark.unit


def gate(**changes):
    bounds = {"at_once": 3, "per_tenant": 2, "most": 4, "patience": 5.0}
    return TenantGate(**{**bounds, **changes}, code="busy", what="work")


class Work:
    """Requests of tenants that stay at work until they are told to end."""

    def __init__(self, found: TenantGate) -> None:
        self.gate = found
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task] = {}

    async def ask(self, name: str) -> None:
        """``name`` begins with the letter of its tenant."""
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._work(name))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _work(self, name: str) -> None:
        async with self.gate.place(name[0]):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def test_a_tenant_has_its_share_and_leaves_the_rest_to_others():
    async def course():
        work = Work(gate())
        for name in ("a1", "a2", "a3", "b1"):
            await work.ask(name)
        assert work.begun == ["a1", "a2", "b1"]
        await work.end("b1")
        assert work.begun == ["a1", "a2", "b1"]  # There is room, but not for more of a.
        await work.end("a1")
        assert work.begun[-1] == "a3"

    asyncio.run(course())


def test_tenants_take_turns():
    async def course():
        work = Work(gate(at_once=1, per_tenant=1))
        for name in ("a1", "a2", "a3", "a4", "b1", "c1"):
            await work.ask(name)
        for name in ("a1", "a2", "b1", "c1", "a3"):
            await work.end(name)
        assert work.begun == ["a1", "a2", "b1", "c1", "a3", "a4"]

    asyncio.run(course())


def test_one_too_many_is_told_when_to_come_back_and_others_are_not():
    async def course():
        work = Work(gate())
        for name in ("a1", "a2", "a3", "a4", "a5", "b1"):
            await work.ask(name)
        with pytest.raises(ApiProblem) as refused:
            await work.tasks["a5"]
        assert (refused.value.status, refused.value.code) == (503, "busy")
        assert refused.value.headers == {"Retry-After": "5"}
        assert work.begun == ["a1", "a2", "b1"]

    asyncio.run(course())


def test_who_waits_too_long_or_goes_away_leaves_no_trace():
    async def course():
        work = Work(gate(at_once=1, per_tenant=1, patience=0.05))
        await work.ask("a1")
        await work.ask("b1")
        await work.ask("c1")
        work.tasks["b1"].cancel()
        with pytest.raises(asyncio.CancelledError):
            await work.tasks["b1"]
        with pytest.raises(ApiProblem, match="too many requests for work"):
            await work.tasks["c1"]
        await work.end("a1")
        for name in ("c2", "b2"):
            await work.ask(name)
            await work.end(name)
        assert work.begun == ["a1", "c2", "b2"]
        assert not work.gate._at_work
        assert not work.gate._waiting

    asyncio.run(course())


def test_a_turn_that_comes_as_its_request_goes_away_goes_to_the_next():
    async def course():
        work = Work(gate(at_once=1, per_tenant=1))
        for name in ("a1", "b1", "c1"):
            await work.ask(name)
        work._ends["a1"].set()
        await work.tasks["a1"]  # b1 has its turn now and has not run yet
        work.tasks["b1"].cancel()
        with pytest.raises(asyncio.CancelledError):
            await work.tasks["b1"]
        await asyncio.sleep(0)
        assert work.begun[-1] == "c1"

    asyncio.run(course())
