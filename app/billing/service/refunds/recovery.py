"""Going on with what was cut off: refunds that nobody called for or knows about, and old approvals."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from app.billing.constants import RefundStatus, RequestStatus
from app.billing.models import Refund, RefundRequest
from app.billing.providers.base import PaymentProvider, RefundOrder
from app.billing.service.refunds import execution
from app.billing.service.refunds.changes import change
from app.database import Database
from app.identity.principal import SYSTEM

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 10
BATCH = 50
# Providers remember a call's key for a day (Stripe: "at least 24 hours"): later it could be a second refund.
CERTAIN = timedelta(hours=23)
FRESH = {"populate_existing": True}


async def recover(
    database: Database, provider: PaymentProvider | None, *, now: datetime | None = None
) -> int:
    """Call for the refunds whose time has come, and expire approvals; how many of both.

    One that has the provider's id waits for its event instead, and so does one whose first call is too long
    ago to be repeated. Without a provider nothing is called.
    ``now``: the time by which they are due, for tests.
    """
    now = now or datetime.now(UTC)
    done = await expire(database, now=now)
    tried: list[UUID] = []
    while provider is not None and len(tried) < BATCH:
        refund_id, order = await _claim_next(database, provider.name, now, tried)
        if refund_id is None:
            break
        tried.append(refund_id)
        if order is None:
            continue
        answer = await execution.call(provider, order)
        try:
            async with database.session() as session:
                await execution.settle(session, refund_id, answer, actor=SYSTEM)
        except Exception as error:  # noqa: BLE001 - the others are not to wait for this one, which comes again
            logger.warning("refund %s was not settled: %s", refund_id, type(error).__name__)
    return done + len(tried)


async def _claim_next(
    database: Database, provider: str, now: datetime, tried: list[UUID]
) -> tuple[UUID | None, RefundOrder | None]:
    """One that is due and its order, claimed and committed; who else sweeps passes over it.

    Without an order it is too late to ask again.
    """
    statement = (
        select(Refund)
        .where(
            Refund.status == RefundStatus.pending,
            Refund.external_id.is_(None),
            Refund.provider == provider,
            Refund.next_attempt_at <= now,
            Refund.id.not_in(tried),
        )
        .order_by(Refund.next_attempt_at, Refund.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    )
    async with database.session() as session:
        refund = await session.scalar(statement, execution_options=FRESH)
        if refund is None:
            return None, None
        if refund.attempts and refund.created_at < now - CERTAIN:
            await execution.give_up(session, refund)
            return refund.id, None
        return refund.id, await execution.claim(session, refund.id)


async def expire(database: Database, *, now: datetime | None = None) -> int:
    """Approvals that were not used in time; how many. Requests that somebody is changing wait."""
    now, count = now or datetime.now(UTC), 0
    while True:
        async with database.session() as session:
            statement = (
                select(RefundRequest)
                .where(RefundRequest.status == RequestStatus.approved, RefundRequest.expires_at <= now)
                .order_by(RefundRequest.expires_at, RefundRequest.id)
                .limit(1)
                .with_for_update(skip_locked=True, key_share=True)
            )
            request = await session.scalar(statement, execution_options=FRESH)
            if request is None:
                return count
            await change(session, request, {"status": RequestStatus.expired}, actor=SYSTEM)
        count += 1
