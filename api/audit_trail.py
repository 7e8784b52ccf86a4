"""Middleware: writes every request that could change something into the audit log, if it is known
who sent it."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import Context
from api.gate import READING, client_address, is_known
from services.control.audit import AuditEntry
from services.control.principal import ANONYMOUS, Principal
from services.control.redaction import redact

log = logging.getLogger("laconic.audit")

_UNRECORDED = frozenset({429})
"""Who sends too much must not fill the disk."""
_LONGEST_PATH = 500


class AuditTrail:
    """The record is written before the answer goes out, so what was acknowledged is in the log."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record(request, int(message["status"]))
            await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        except Exception:
            request.state.problem = "internal_error"
            await self._record(request, 500)
            raise

    async def _record(self, request: Request, status: int) -> None:
        if status in _UNRECORDED:
            return
        entry = _entry(request, status)
        if not is_known(request):
            # One record now and then for all of them: anybody who can connect can be refused.
            if not (untold := self._context.refusals.due(time.monotonic())):
                return
            entry = replace(
                entry,
                method="*",
                path=f"{untold} requests were refused before a key was accepted; this is the last",
                operation=None,
                code="refused_requests",
            )
        try:
            await asyncio.to_thread(self._context.control.audit.append, entry)
        except Exception:
            # The request has acted: the log of the process has to hold what the audit log cannot.
            log.exception("cannot write to the audit log: %s", entry)


def _entry(request: Request, status: int) -> AuditEntry:
    principal: Principal = getattr(request.state, "principal", ANONYMOUS)
    return AuditEntry(
        time=time.time(),
        tenant=principal.tenant,
        actor=principal.actor,
        key_id=principal.key_id,
        address=client_address(request),
        method=request.method[:20],
        path=redact(request.url.path)[:_LONGEST_PATH],
        operation=None if status == 405 else _operation(request),
        status=status,
        code=getattr(request.state, "problem", None),
        request_id=request.state.request_id,
    )


def _operation(request: Request) -> str | None:
    found: str | None = getattr(request.scope.get("route"), "operation_id", None)
    return found
