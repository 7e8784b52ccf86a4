"""What routes are handed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request

from api.authentication import Authenticator
from api.event_feed import EventFeed
from api.refusals import Refusals
from api.settings import Settings
from api.storage_meter import StorageMeter
from api.stream_access import StreamKeys
from api.stream_slots import StreamSlots
from api.tenant_gate import TenantGate
from api.usage import UsageMemory
from api.verification import Verification
from services.control.principal import Principal
from services.control.stores import ControlStores
from services.control.token_bucket import RateLimiter
from services.launcher import Launcher
from services.stores.protocol import JobNotFound, JobRecord, JobStore

_HEAVY_SECONDS: Final = 15.0
"""Longest wait of a request for its turn: its client waits for a minute in all."""


class Context:
    """The parts of one control plane."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        launcher: Launcher,
        control: ControlStores,
        secret: bytes,
        verification: Verification,
    ) -> None:
        """Nothing is started or asked yet.

        Args:
            settings: where it keeps its things, and its bounds.
            store: the jobs.
            launcher: what starts drivers.
            control: everything else that is remembered.
            secret: what keys are hashed and cursors signed with.
            verification: what judges responses without a job.
        """
        self.settings, self.store, self.launcher = settings, store, launcher
        self.control, self.secret, self.verification = control, secret, verification
        self.wake = threading.Event()
        """Set to have the reconciler look at once."""
        self.closing = threading.Event()
        """Set when the control plane is about to end: no job is taken or started any more."""
        self.creating = threading.Lock()
        """Held from counting what a tenant has to adding to it (:func:`api.usage.adding`)."""
        self.last_reconciled: float | None = None
        """Unix seconds when the reconciler last did its duty, or saw that another has it."""
        self.last_looked: float | None = None
        """Unix seconds of the last look at all jobs that was taken here."""
        self.leads = False
        """Whether it is this control plane that looks after the jobs."""
        self.needs_no_key: Callable[[str], bool] = lambda _: False
        """Whether a path says nothing of any job."""
        limits = settings.limits
        self.authenticator = Authenticator(control.keys, secret)
        self.rate = RateLimiter(limits.rate_per_second, limits.rate_burst)
        self.refusals = Refusals()
        self.streams = StreamSlots(limits)
        self.stream_keys = StreamKeys(self.authenticator)
        self.heavy = TenantGate(
            at_once=limits.max_heavy,
            per_tenant=limits.max_heavy_per_tenant,
            most=limits.max_heavy_waiting,
            patience=_HEAVY_SECONDS,
            code="too_much_work",
            what="work that takes long",
        )
        self.storage = StorageMeter(settings.home, store)
        self.usage = UsageMemory(store)
        self.feed = EventFeed(store, settings.poll_seconds, self.closing)


# What only hands something on is asynchronous: the framework gives all else a thread, of which
# there are only so many.
async def _context_of(request: Request) -> Context:
    return context_of(request)


def context_of(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Ctx = Annotated[Context, Depends(_context_of)]


async def principal_of(request: Request) -> Principal:
    principal = request.state.principal
    assert isinstance(principal, Principal)
    return principal


Caller = Annotated[Principal, Depends(principal_of)]


def visible(job_id: str, context: Ctx, caller: Caller) -> JobRecord:
    """The job of the path, of any kind, if it exists for whoever asks.

    Raises:
        JobNotFound: there is none, or it is another tenant's: the answer is the same.
    """
    record = context.store.get_job(job_id)
    if not caller.sees(record.tenant):
        raise JobNotFound(job_id)
    return record


VisibleOfAnyKind = Annotated[JobRecord, Depends(visible)]


def visible_job(job_id: str, context: Ctx, caller: Caller) -> JobRecord:
    """Likewise, a training job."""
    record = visible(job_id, context, caller)
    _ = record.training
    return record


VisibleJob = Annotated[JobRecord, Depends(visible_job)]


def visible_evaluation(job_id: str, context: Ctx, caller: Caller) -> JobRecord:
    """Likewise, an evaluation."""
    record = visible(job_id, context, caller)
    _ = record.evaluation
    return record


VisibleEvaluation = Annotated[JobRecord, Depends(visible_evaluation)]


async def reserved_suffix(request: Request) -> str | None:
    """What the id of a thing that this request creates must end in; None where it may be new."""
    found: str | None = getattr(request.state, "reserved", None)
    return found


Reserved = Annotated[str | None, Depends(reserved_suffix)]
