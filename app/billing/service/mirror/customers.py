"""Whose a customer is, and what becomes of their things when that is known at last."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.models import CreditNote, Dispute, Invoice, Payment, Refund, Subscription
from app.billing.service import disputes, ledger
from app.billing.service.mirror.hearing import FRESH, Heard, customer_row, tell
from app.identity.principal import SYSTEM, Principal


async def record_customer(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    account_id: UUID | None,
    actor: Principal = SYSTEM,
) -> None:
    """Whose customer it is. What was heard of the customer before becomes the account's, ledger included."""
    row = await customer_row(session, heard.provider, external_id, changes=account_id is not None)
    if account_id is None or row.account_id == account_id:
        return
    row.account_id = account_id
    await session.flush()
    for model in (Invoice, Payment, Dispute, CreditNote, Subscription):
        found = await session.scalars(
            select(model)
            .where(model.customer_id == row.id, model.account_id.is_distinct_from(account_id))
            .order_by(model.id)
            .with_for_update(key_share=True),
            execution_options=FRESH,
        )
        for thing in found.all():
            await _give(session, thing, account_id, actor=actor)


async def _give(session: AsyncSession, thing: Any, account_id: UUID, *, actor: Principal) -> None:
    before = {"account_id": thing.account_id}
    thing.account_id = account_id
    thing.version += 1
    await session.flush()
    await tell(session, thing, before=before, changed={"account_id": account_id}, actor=actor)
    if not isinstance(thing, Subscription):
        await ledger.bring_up(session, thing)
    if isinstance(thing, Invoice):
        await follow_invoice(session, thing, actor=actor)
    if isinstance(thing, Payment):
        await follow_payment(session, thing)
        await follow_disputes(session, thing, actor=actor)
    if isinstance(thing, Dispute):
        await disputes.followed(session, thing, actor=actor)


async def follow_invoice(session: AsyncSession, invoice: Invoice, *, actor: Principal) -> None:
    """Let what pays and corrects a locked invoice belong to its account, where nobody said whose it is."""
    if invoice.account_id is None:
        return
    for model in (Payment, CreditNote):
        statement = (
            select(model)
            .where(model.invoice_id == invoice.id, model.account_id.is_(None))
            .order_by(model.id)
            .with_for_update(key_share=True)
        )
        for thing in (await session.scalars(statement, execution_options=FRESH)).all():
            await _give(session, thing, invoice.account_id, actor=actor)


async def follow_payment(session: AsyncSession, payment: Payment) -> None:
    """Let the refunds of a locked payment belong to its account, and the ledger know them."""
    statement = (
        select(Refund)
        .where(Refund.payment_id == payment.id, Refund.account_id.is_distinct_from(payment.account_id))
        .order_by(Refund.id)
        .with_for_update(key_share=True)
    )
    for refund in (await session.scalars(statement, execution_options=FRESH)).all():
        refund.account_id = payment.account_id
        await ledger.bring_up(session, refund)


async def follow_disputes(session: AsyncSession, payment: Payment, *, actor: Principal) -> None:
    """Disputes that were heard of before their payment's account was."""
    if payment.account_id is None:
        return
    statement = (
        select(Dispute)
        .where(Dispute.payment_id == payment.id, Dispute.account_id.is_(None))
        .order_by(Dispute.id)
        .with_for_update(key_share=True)
    )
    for dispute in (await session.scalars(statement, execution_options=FRESH)).all():
        await _give(session, dispute, payment.account_id, actor=actor)
