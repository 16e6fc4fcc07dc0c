"""The only composition root: ``create_app`` ties the rooms together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide

from app import health, identity
from app.config import Settings
from app.database import Database, is_database_away, provide_session
from app.identity import AuthenticationMiddleware, provide_principal
from app.jobs import JobHandler, Worker
from app.openapi import OPENAPI_CONFIG, OpenAPIPlugin, reject_unknown_query
from app.pages import page_routes
from app.problems import EXCEPTION_HANDLERS
from app.rag import controllers as rag_controllers
from app.rag.constants import INGEST_JOB
from app.rag.dependencies import provide_database, provide_rag
from app.rag.runtime import Rag, open_rag
from app.requests import RequestContextMiddleware

logger = logging.getLogger(__name__)

RETRY_START = 2.0  # seconds between attempts while the database is away at start


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    rag: Rag | None = None,
    prepare: Callable[[Rag], Awaitable[None]] | None = None,
) -> Litestar:
    """The ASGI application.

    ``database``: one that is already started and that the caller stops. ``rag``: likewise; tests share one.
    ``prepare`` runs when both are open and jobs are running, before the first request is taken.
    """
    return Litestar(
        route_handlers=[
            health.router,
            identity.router,
            _rag_router(settings),
            *page_routes(settings),
        ],
        state=State({"settings": settings, "database": database or Database(settings), "rag": rag}),
        lifespan=[_Lifespan(settings, owns_database=database is None, prepare=prepare)],
        dependencies={
            "session": Provide(provide_session),
            "principal": Provide(provide_principal),
            "database": Provide(provide_database),
            "rag": Provide(provide_rag),
        },
        middleware=[RequestContextMiddleware(), AuthenticationMiddleware(settings)],
        exception_handlers=EXCEPTION_HANDLERS,
        before_request=reject_unknown_query,
        request_max_body_size=settings.body_max_bytes,
        openapi_config=OPENAPI_CONFIG,
        plugins=[OpenAPIPlugin()],
        logging_config=None,  # logging.yaml is applied by the command; the handlers above log what matters
    )


def _rag_router(settings: Settings) -> Router:
    documents = Router(
        path="/",
        route_handlers=[rag_controllers.DocumentController],
        request_max_body_size=settings.upload_max_bytes,
    )
    return Router(
        path="/v1/rag",
        route_handlers=[
            rag_controllers.CollectionController,
            documents,
            rag_controllers.search,
            rag_controllers.AnswerController,
            rag_controllers.ChatController,
        ],
    )


class _Lifespan:
    """Opens and closes what the app holds. A database that is away at start is waited for in the background."""

    def __init__(
        self, settings: Settings, *, owns_database: bool, prepare: Callable[[Rag], Awaitable[None]] | None
    ) -> None:
        self._settings = settings
        self._owns_database = owns_database
        self._prepare = prepare

    @asynccontextmanager
    async def __call__(self, app: Litestar) -> AsyncIterator[None]:
        database: Database = app.state.database
        async with AsyncExitStack() as stack:
            if self._owns_database:
                stack.push_async_callback(database.stop)
                await database.start()
            try:
                await self._open(app, stack)
            except Exception as error:
                if not is_database_away(error):
                    raise
                logger.warning("the database is away; waiting for it")
                waiting = asyncio.create_task(self._keep_opening(app, stack))
                stack.callback(waiting.cancel)
            yield
            app.state.draining = True

    async def _open(self, app: Litestar, stack: AsyncExitStack) -> None:
        rag = app.state.rag or await stack.enter_async_context(open_rag(self._settings, app.state.database))
        if self._settings.worker_in_server:
            worker = Worker(
                app.state.database, job_handlers(rag), concurrency=self._settings.worker_concurrency
            )
            worker.start()
            stack.push_async_callback(worker.stop)
        if self._prepare is not None:
            await self._prepare(rag)
        app.state.rag = rag

    async def _keep_opening(self, app: Litestar, stack: AsyncExitStack) -> None:
        while True:
            await asyncio.sleep(RETRY_START)
            try:
                await self._open(app, stack)
            except Exception as error:
                if not is_database_away(error):
                    logger.exception("the server cannot start")
                    raise
            else:
                return


def job_handlers(rag: Rag) -> dict[str, JobHandler]:
    """Which coroutine runs which job; the server's worker, `tridesk worker` and `tridesk ingest` share it."""
    return {INGEST_JOB: rag.ingestor.handle}
