"""The control plane as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import problems
from api.body_limit import BodyLimit
from api.dependencies import Context
from api.reconcile import Reconciler
from api.routes import (
    evaluations,
    events,
    health,
    jobs,
    metrics,
    presets,
    prometheus,
    report,
    verify,
)
from api.schemas import ProblemBody
from api.settings import Settings
from api.verification import Verification
from services.launcher import Launcher, RayJobLauncher
from services.stores.protocol import JobStore
from services.stores.sqlite import SqliteJobStore

_PROBLEM = {"model": ProblemBody, "content": {problems.MEDIA_TYPE: {}}}


def create_app(
    settings: Settings, *, launcher: Launcher | None = None, store: JobStore | None = None
) -> FastAPI:
    """Build the application; its reconciler starts and ends with it.

    Args:
        settings: where it keeps its things and how often it looks at them.
        launcher: what starts drivers; by default the Ray cluster of the settings.
        store: by default the SQLite file in the home folder, created if there is none.

    Raises:
        OSError: the home folder cannot be written.
        UnknownLayout: the store was written by a newer version.
    """
    home = settings.home.create()
    context = Context(
        settings=settings,
        store=store or SqliteJobStore(home.database),
        launcher=launcher or RayJobLauncher(settings.ray_dashboard, home.root),
        verification=Verification(settings.verify_workers),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reconciler = Reconciler(context)
        reconciler.start()
        try:
            yield
        finally:
            reconciler.stop()
            context.verification.close()

    app = FastAPI(
        title="Laconic",
        description="Trains a reasoning model to think shorter.",
        version="1",
        lifespan=lifespan,
        responses=dict.fromkeys((400, 404, 409, 413, 422, 500, 503), _PROBLEM),
    )
    app.state.context = context
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(problems.RequestIdentity)
    for module in (
        jobs,
        evaluations,
        events,
        metrics,
        report,
        presets,
        verify,
        health,
        prometheus,
    ):
        app.include_router(module.router)
    return app
