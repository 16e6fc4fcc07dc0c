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
from app.exceptions import TrideskError
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

Step = Callable[[], Awaitable[None]]
Prepare = Callable[[Rag], Awaitable[None]]

RETRY_START = 2.0  # seconds between attempts while the database is away at start


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    rag: Rag | None = None,
    reach: Step | None = None,
    prepare: Prepare | None = None,
) -> Litestar:
    """The ASGI application.

    ``database``: one that is already started and that the caller stops. ``rag``: likewise; tests share one.
    ``reach`` runs first and raises while the database is not there or not fit; ``prepare`` when the models
    are loaded and jobs are running. Both come before the first request, unless the database is away at start:
    then they are tried until they succeed.
    """
    return Litestar(
        route_handlers=[
            health.router,
            identity.router,
            _rag_router(settings),
            *page_routes(settings),
        ],
        state=State({"settings": settings, "database": database or Database(settings), "rag": rag}),
        lifespan=[_Lifespan(settings, owns_database=database is None, reach=reach, prepare=prepare)],
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
    """Opens and closes what the app holds; waits in the background for a database that is away at start."""

    def __init__(
        self, settings: Settings, *, owns_database: bool, reach: Step | None, prepare: Prepare | None
    ) -> None:
        self._settings = settings
        self._owns_database = owns_database
        self._reach = reach
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
                logger.warning("the database is away; waiting for it: %s", _reason(error))
                stack.push_async_callback(_end, asyncio.create_task(self._keep_opening(app, stack)))
            try:
                yield
            finally:
                app.state.draining = True

    async def _open(self, app: Litestar, stack: AsyncExitStack) -> None:
        """All or nothing: what was opened before a failure is closed, so that it can be tried again."""
        database: Database = app.state.database
        async with AsyncExitStack() as opened:
            await (self._reach or database.ping)()
            rag = app.state.rag or await opened.enter_async_context(open_rag(self._settings, database))
            if self._settings.worker_in_server:
                worker = Worker(database, job_handlers(rag), concurrency=self._settings.worker_concurrency)
                worker.start()
                opened.push_async_callback(worker.stop)
            if self._prepare is not None:
                await self._prepare(rag)
            app.state.rag = rag
            stack.push_async_exit(opened.pop_all())

    async def _keep_opening(self, app: Litestar, stack: AsyncExitStack) -> None:
        """Until it succeeds. Who has to mend something meanwhile need not restart the server."""
        said = ""
        while True:
            await asyncio.sleep(RETRY_START)
            try:
                await self._open(app, stack)
            except TrideskError as error:
                if _reason(error) != said:
                    said = _reason(error)
                    logger.warning("the server is not ready: %s", said)
            except Exception:
                logger.exception("the server is not ready")
            else:
                logger.info("the database is back")
                return


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def job_handlers(rag: Rag) -> dict[str, JobHandler]:
    """Which coroutine runs which job; the server's worker, `tridesk worker` and `tridesk ingest` share it."""
    return {INGEST_JOB: rag.ingestor.handle}
