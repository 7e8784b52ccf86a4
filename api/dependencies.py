"""What routes are handed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.settings import Settings
from api.verification import Verification
from services.launcher import Launcher
from services.stores.protocol import JobStore


@dataclass
class Context:
    """The parts of one control plane."""

    settings: Settings
    store: JobStore
    launcher: Launcher
    verification: Verification
    wake: threading.Event = field(default_factory=threading.Event)
    """Set to have the reconciler look at once."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the control plane is about to end: no job is taken or started any more."""
    last_reconciled: float | None = None
    """Unix seconds of the last look at Ray that went through."""


def context_of(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Ctx = Annotated[Context, Depends(context_of)]
