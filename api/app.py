"""The control plane as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from api import problems
from api.audit_trail import AuditTrail
from api.dependencies import Context
from api.docs_page import docs_page
from api.gate import OPEN_PATHS, Gate
from api.openapi import document
from api.reconcile import Reconciler
from api.request_identity import RequestIdentity
from api.routes import (
    artifacts,
    audit,
    checkpoints,
    evaluations,
    events,
    forks,
    health,
    jobs,
    logs,
    metrics,
    models,
    page,
    plans,
    presets,
    prometheus,
    report,
    steering,
    verify,
    webhooks,
    whoami,
)
from api.settings import Settings
from api.verification import Verification
from api.webhook_dispatch import WebhookDispatcher
from services.control.secret import server_secret
from services.control.stores import open_control
from services.launcher import Launcher, RayJobLauncher
from services.stores.open import leave_address, open_store
from services.stores.protocol import JobStore

ROUTERS = (
    *(jobs, plans, steering, forks, evaluations, events, metrics, report),
    *(logs, checkpoints, models, artifacts, presets),
    *(verify, webhooks, whoami, audit, health, prometheus, page),
)


def create_app(
    settings: Settings, *, launcher: Launcher | None = None, store: JobStore | None = None
) -> FastAPI:
    """Build the application; its reconciler starts and ends with it.

    Args:
        settings: where it keeps its things and how often it looks at them.
        launcher: what starts drivers; by default the Ray cluster of the settings.
        store: by default what ``LACONIC_STORE`` names, else the SQLite file in the home folder,
            created if there is none.

    Raises:
        OSError: the home folder cannot be written.
        BadStoreUrl: ``LACONIC_STORE`` cannot be read.
        StoreUnavailable: the store cannot be opened or reached.
        UnknownLayout: a store was written by a newer version.
        SecretError: the secret of the control plane cannot be used.
    """
    home = settings.home.create()
    if store is None and _is_this_machine(settings.ray_dashboard):
        leave_address(None, home)
    context = Context(
        settings,
        store or open_store(None, home),
        launcher or RayJobLauncher(settings.ray_dashboard, home.root),
        open_control(home),
        server_secret(home.secret),
        Verification(settings.verify_workers),
    )
    context.needs_no_key = lambda path: path in OPEN_PATHS or page.is_open(path)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reconciler = Reconciler(context)
        dispatcher = WebhookDispatcher(context)
        reconciler.start()
        dispatcher.start()
        try:
            yield
        finally:
            reconciler.stop()
            # In a thread: what is still being answered is answered meanwhile.
            await asyncio.to_thread(dispatcher.stop)
            await context.feed.stop()
            context.control.idempotency.leave()
            context.verification.close()

    app = routed(lifespan=lifespan)
    app.state.context = context
    problems.install(app)
    page.install_not_found(app)
    # The last one added is the first one passed.
    app.add_middleware(Gate, context=context)
    app.add_middleware(AuditTrail, context=context)
    app.add_middleware(RequestIdentity)
    return app


def routed(**options: Any) -> FastAPI:
    """An application with all routes and their description, and nothing behind them yet."""
    app = FastAPI(
        title="Laconic",
        version="1",
        redirect_slashes=False,
        # FastAPI's own pages run scripts of other hosts.
        docs_url=None,
        redoc_url=None,
        **options,
    )
    for module in ROUTERS:
        app.include_router(module.router)
    described: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        described.update(described or document(app))
        return described

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/docs", _docs, include_in_schema=False)
    return app


def _docs(request: Request) -> Response:
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(docs_page(request.app.openapi()), headers=policy)


def _is_this_machine(address: str) -> bool:
    """Whether an address is one of the loopback: then drivers run here, and read the home folder's
    word on the store. Elsewhere the environment of their nodes must say it."""
    return urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
