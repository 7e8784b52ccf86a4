"""The control plane as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI

from api import problems
from api.dependencies import Context
from api.reconcile import Reconciler
from api.routes import evaluations, events, health, jobs, metrics, presets, prometheus, report
from api.schemas import ProblemBody
from api.settings import Settings
from services.launcher import Launcher, RayJobLauncher
from services.stores.open import leave_address, open_store
from services.stores.protocol import JobStore

_PROBLEM = {"model": ProblemBody, "content": {problems.MEDIA_TYPE: {}}}


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
        UnknownLayout: the store was written by a newer version.
    """
    home = settings.home.create()
    if store is None and _is_this_machine(settings.ray_dashboard):
        leave_address(None, home)
    context = Context(
        settings=settings,
        store=store or open_store(None, home),
        launcher=launcher or RayJobLauncher(settings.ray_dashboard, home.root),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reconciler = Reconciler(context)
        reconciler.start()
        try:
            yield
        finally:
            reconciler.stop()

    app = FastAPI(
        title="Laconic",
        description="Trains a reasoning model to think shorter.",
        version="1",
        lifespan=lifespan,
        responses=dict.fromkeys((400, 404, 409, 422, 500, 503), _PROBLEM),
    )
    app.state.context = context
    problems.install(app)
    app.add_middleware(problems.RequestIdentity)
    for module in (jobs, evaluations, events, metrics, report, presets, health, prometheus):
        app.include_router(module.router)
    return app


def _is_this_machine(address: str) -> bool:
    """Whether an address is one of the loopback: then drivers run here, and read the home folder's
    word on the store. Elsewhere the environment of their nodes must say it."""
    return urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
