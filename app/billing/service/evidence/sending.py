"""Handing evidence over: no transaction is open while the provider is asked."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from app.billing.models import DisputeEvidence
from app.billing.providers.base import PaymentProvider, ProviderRefusedError, ProviderUnknownError
from app.billing.service.evidence import packs
from app.database import Database

logger = logging.getLogger(__name__)

SEND_SECONDS = 15
BATCH = 20


async def send(database: Database, provider: PaymentProvider, dispute_id: UUID) -> None:
    """One attempt. What nobody answered stays submitted, and is tried again by ``send_waiting``."""
    async with database.session() as session:
        claimed = await packs.claim(session, dispute_id)
    if claimed is None:
        return
    try:
        await provider.submit_evidence(*claimed)
    except ProviderRefusedError as error:
        async with database.session() as session:
            await packs.refused(session, dispute_id, error.reason)
    except ProviderUnknownError as error:
        logger.warning("evidence of dispute %s: nobody knows whether it arrived (%s)", dispute_id, error)
    else:
        async with database.session() as session:
            await packs.accepted(session, dispute_id)


async def send_waiting(database: Database, provider: PaymentProvider | None) -> int:
    """Send again what was submitted and not accepted, as after a crash; returns how many attempts."""
    if provider is None:
        return 0
    async with database.session() as session:
        waiting = (
            select(DisputeEvidence.dispute_id)
            .where(
                DisputeEvidence.submitted_at.is_not(None),
                DisputeEvidence.accepted_at.is_(None),
                DisputeEvidence.next_attempt_at <= datetime.now(UTC),
            )
            .order_by(DisputeEvidence.next_attempt_at)
            .limit(BATCH)
        )
        found = (await session.scalars(waiting)).all()
    for dispute_id in found:
        await send(database, provider, dispute_id)
    return len(found)
