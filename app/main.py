"""The only composition root: ``create_app`` ties the rooms together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide

from app import health
from app.billing import work as billing_work
from app.billing.controllers import router as billing_router
from app.billing.desk import Desk as BillingDesk
from app.billing.providers import provider_of
from app.billing.service.answering import BillingRecords
from app.billing.service.cases.mailing import BillingMail
from app.billing.service.cases.openwork import BillingWork
from app.billing.service.cases.personal import BillingData
from app.billing.service.facts import BillingFacts, BillingRevenue
from app.config import Settings
from app.conversations import CONVERSATIONS_DATA
from app.conversations.controllers import attachments_router
from app.conversations.extraction import extraction_handlers, sweep_uploads
from app.database import Database, is_database_away
from app.events.controllers import router as events_router
from app.exceptions import TrideskError
from app.features import work as features_work
from app.features.controllers import router as features_router
from app.features.desk import Desk as FeaturesDesk
from app.features.service.personal import FeaturesData
from app.idempotency import purge as purge_keys
from app.idempotency.dependencies import provide_keyed_request, provide_session, read_key
from app.identity import AuthenticationMiddleware, provide_principal
from app.identity.controllers import router as identity_router
from app.jobs import JobHandler, Schedule, Service, Worker
from app.jobs.controllers import router as jobs_router
from app.jobs.figures import job_figures
from app.jobs.retention import tidy
from app.knowledge import AccountFacts, InboundMail, OpenWork, PersonalData, Records, Revenue
from app.limits import purge_idle
from app.mail import MAIL_DATA, RECEIVE_JOB, SEND_JOB, Deliverer, Mailer, Receiver
from app.mail import sweep as sweep_mail
from app.mail.controllers import mail_router
from app.matching import EMBED_JOB, Matcher, Vectors
from app.matching import SWEEP_SECONDS as MATCHING_SECONDS
from app.matching.dependencies import provide_matcher
from app.metrics import Metrics
from app.metrics.controllers import get_metrics
from app.metrics.middleware import count_requests
from app.openapi import OPENAPI_CONFIG, OpenAPIPlugin, reject_unknown_query
from app.pages import page_routes
from app.preconditions import provide_expected
from app.presence import PRESENCE_DATA, PURGE_SECONDS
from app.presence import purge as purge_presence
from app.privacy.controllers import router as privacy_router
from app.problems import EXCEPTION_HANDLERS
from app.rag import controllers as rag_controllers
from app.rag.constants import INGEST_JOB, UNANSWERED_JOB
from app.rag.dependencies import provide_database, provide_rag
from app.rag.desk import DeskAnswers
from app.rag.runtime import Rag, open_rag
from app.rag.service.personal import RAG_DATA
from app.rag.service.unanswered import unanswered_handler
from app.requests import RequestContextMiddleware, finish
from app.sla import REAPPLY_JOB, SWEEP_SECONDS, reapply_handler, run_sweep
from app.sla.controllers import router as sla_router
from app.technical import work as technical_work
from app.technical.controllers import router as technical_router
from app.technical.controllers.imports import imports_router
from app.technical.desk import Desk as TechnicalDesk
from app.technical.service.importing.personal import ImportsData
from app.technical.service.mailing import TechnicalMail
from app.technical.service.openwork import TechnicalWork
from app.technical.service.personal import TechnicalData
from app.webhooks import WebhookDispatcher, purge_deliveries
from app.webhooks.controllers import WebhookController

logger = logging.getLogger(__name__)

HOUR = timedelta(hours=1)

Step = Callable[[], Awaitable[None]]
Prepare = Callable[[Rag], Awaitable[None]]

# Rooms that hold something about people, for their export and erasure; desks come on top in ``create_app``.
PERSONAL_DATA: tuple[PersonalData, ...] = (
    *(CONVERSATIONS_DATA, MAIL_DATA, PRESENCE_DATA, RAG_DATA),
    ImportsData(),
    BillingData(),
    FeaturesData(),
)
ACCOUNT_FACTS: tuple[AccountFacts, ...] = (BillingFacts(),)  # panels beside a ticket, about its account
REVENUE: tuple[Revenue, ...] = (BillingRevenue(),)  # what accounts really paid
OPEN_WORK: tuple[OpenWork, ...] = (
    TechnicalWork(),
    BillingWork(),
)  # desks whose work points to things of other desks
RECORDS: tuple[Records, ...] = (BillingRecords(),)  # desks that answer questions from their rows
RETRY_START = 2.0  # seconds between attempts while the database is away at start


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    rag: Rag | None = None,
    reach: Step | None = None,
    prepare: Prepare | None = None,
    inbound_desks: Sequence[InboundMail] | None = None,
    personal_data: Sequence[PersonalData] = PERSONAL_DATA,
) -> Litestar:
    """The ASGI application.

    ``database``: one that is already started and that the caller stops. ``rag``: likewise; tests share one.
    ``reach`` runs first and raises while the database is not there or not fit; ``prepare`` when the models
    are loaded and jobs are running. Both come before the first request, unless the database is away at start:
    then they are tried until they succeed.
    """
    owns_database, database = database is None, database or Database(settings)
    app = Litestar(
        route_handlers=[
            health.router,
            identity_router,
            privacy_router,
            events_router,
            jobs_router,
            get_metrics,
            WebhookController,
            sla_router,
            mail_router(settings),
            attachments_router(settings),
            _rag_router(settings),
            technical_router,
            imports_router(settings),
            billing_router,
            features_router,
            *page_routes(settings),
        ],
        state=State(
            {
                "settings": settings,
                "database": database,
                "rag": rag,
                "metrics": Metrics(sources=[job_figures]),
                "inbound_desks": inbound_desks,
                "mailer": Mailer(settings),
                "open_work": OPEN_WORK,
                "records": RECORDS,
                "technical": technical_desk(settings, rag),
                "billing": billing_desk(settings, database, rag),
                "features": features_desk(settings, rag),
            }
        ),
        lifespan=[_Lifespan(settings, owns_database=owns_database, reach=reach, prepare=prepare)],
        dependencies={
            "session": Provide(provide_session),
            "keyed": Provide(provide_keyed_request),
            "expected": Provide(provide_expected),
            "principal": Provide(provide_principal),
            "database": Provide(provide_database),
            "rag": Provide(provide_rag),
            "matcher": Provide(provide_matcher),
        },
        middleware=[RequestContextMiddleware(), AuthenticationMiddleware(settings)],
        exception_handlers=EXCEPTION_HANDLERS,
        before_request=_before_handler,
        after_request=finish,
        request_max_body_size=settings.body_max_bytes,
        openapi_config=OPENAPI_CONFIG,
        plugins=[OpenAPIPlugin()],
        logging_config=None,  # logging.yaml is applied by the command; the handlers above log what matters
    )
    app.state.personal_data = (TechnicalData(lambda: app.state.technical), *personal_data)
    app.state.answers = DeskAnswers(lambda: app.state.rag)
    count_requests(app)
    return app


async def _before_handler(request: Request[Any, Any, Any]) -> None:
    await reject_unknown_query(request)
    await read_key(request)


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
            rag_controllers.UnansweredController,
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
                worker = make_worker(
                    self._settings, database, rag, app.state.metrics, inbound_desks=app.state.inbound_desks
                )
                worker.start()
                opened.push_async_callback(worker.stop)
            if self._prepare is not None:
                await self._prepare(rag)
            app.state.rag = rag
            app.state.matcher = Matcher(rag.embeds)
            app.state.technical = technical_desk(self._settings, rag)
            app.state.billing = billing_desk(self._settings, database, rag)
            app.state.features = features_desk(self._settings, rag)
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


def make_worker(
    settings: Settings,
    database: Database,
    rag: Rag,
    metrics: Metrics | None = None,
    *,
    inbound_desks: Sequence[InboundMail] | None = None,
) -> Worker:
    """What works beside the requests, in the server and in `tridesk worker`: jobs, services, schedules.

    ``inbound_desks``: who takes mail, when it is not the desks.
    """
    metrics = metrics or Metrics()
    technical = technical_desk(settings, rag)
    billing = billing_desk(settings, database, rag)
    features = features_desk(settings, rag)
    if inbound_desks is None:
        inbound_desks = [
            TechnicalMail(desk=technical, attachment_max_bytes=settings.attachment_max_bytes),
            BillingMail(
                desk=billing,
                attachment_max_bytes=settings.attachment_max_bytes,
                addresses=(settings.billing_address.lower(),) if settings.billing_address else (),
            ),
        ]
    services: list[Service] = [WebhookDispatcher(database, allow_private=settings.webhook_allow_private)]
    vectors = Vectors(database, rag.embeds)
    schedules = [
        Schedule("job-log", HOUR, partial(tidy, database)),
        Schedule("idempotency-keys", HOUR, partial(purge_keys, database)),
        Schedule("rate-limits", HOUR, partial(purge_idle, database)),
        Schedule("webhook-log", HOUR, partial(purge_deliveries, database)),
        Schedule("mail-retries", timedelta(seconds=30), partial(sweep_mail, database)),
        Schedule("uploads", HOUR, partial(sweep_uploads, database)),
        Schedule("presence", timedelta(seconds=PURGE_SECONDS), partial(purge_presence, database)),
        Schedule("sla-sweep", timedelta(seconds=SWEEP_SECONDS), partial(run_sweep, database)),
        Schedule("matching-sweep", timedelta(seconds=MATCHING_SECONDS), vectors.sweep),
        *technical_work.schedules(database, technical),
        *billing_work.schedules(database, billing),
        *features_work.schedules(database, features),
    ]
    handlers = {
        **job_handlers(rag),
        **mail_handlers(settings, database, inbound_desks),
        **extraction_handlers(settings, database),
        EMBED_JOB: vectors.handle,
        REAPPLY_JOB: reapply_handler(database),
        UNANSWERED_JOB: unanswered_handler(database, rag.embeds),
        **technical_work.handlers(database, technical),
        **features_work.handlers(database, features),
    }
    return Worker(
        database,
        handlers,
        concurrency=settings.worker_concurrency,
        services=services,
        schedules=schedules,
        observe=metrics.observe_job,
    )


def technical_desk(settings: Settings, rag: Rag | None = None) -> TechnicalDesk:
    """What the technical desk needs of other rooms; without ``rag`` as long as the models are not loaded."""
    return TechnicalDesk(
        mailer=Mailer(settings),
        answers=DeskAnswers(lambda: rag),
        embeds=None if rag is None else rag.embeds,
        account_facts=ACCOUNT_FACTS,
        reopen_window=timedelta(days=settings.ticket_reopen_days),
        close_after=timedelta(days=settings.ticket_close_days),
    )


def billing_desk(settings: Settings, database: Database, rag: Rag | None = None) -> BillingDesk:
    """What the billing desk needs of other rooms; without ``rag`` as long as the models are not loaded."""
    return BillingDesk(
        mailer=Mailer(settings),
        provider=provider_of(settings, database),
        answers=DeskAnswers(lambda: rag),
        embeds=None if rag is None else rag.embeds,
        open_work=OPEN_WORK,
        reopen_window=timedelta(days=settings.ticket_reopen_days),
        close_after=timedelta(days=settings.ticket_close_days),
    )


def features_desk(settings: Settings, rag: Rag | None = None) -> FeaturesDesk:
    """What the features desk needs of other rooms; without ``rag`` as long as the models are not loaded."""
    return FeaturesDesk(
        mailer=Mailer(settings),
        embeds=None if rag is None else rag.embeds,
        revenue=REVENUE,
        open_work=OPEN_WORK,
    )


def job_handlers(rag: Rag) -> dict[str, JobHandler]:
    """Which coroutine runs which job; the server's worker, `tridesk worker` and `tridesk ingest` share it."""
    return {INGEST_JOB: rag.ingestor.handle}


def mail_handlers(
    settings: Settings, database: Database, desks: Sequence[InboundMail]
) -> dict[str, JobHandler]:
    """The jobs of mail, in and out."""
    return {
        RECEIVE_JOB: Receiver(settings, database, desks).handle,
        SEND_JOB: Deliverer(settings, database).handle,
    }
