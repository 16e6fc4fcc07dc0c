"""Recording refunds that a provider tells of: our own, which it carried out, and those made elsewhere."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import RefundStatus
from app.billing.models import Refund
from app.billing.service import ledger, payments
from app.billing.service.mirror.hearing import FRESH, Heard, seen_of, tell
from app.billing.service.mirror.references import payment_row
from app.billing.service.refunds import state
from app.billing.utils import ordering
from app.billing.utils.money import exponent_of
from app.billing.utils.ordering import Seen
from app.identity.principal import SYSTEM, Principal


async def record_refund(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    currency: str,
    amount: int,
    status: RefundStatus,
    payment: str | None = None,
    charge: str | None = None,
    refund_id: UUID | None = None,
    reason: str | None = None,
    failure_reason: str | None = None,
    actor: Principal = SYSTEM,
    **_: Any,
) -> Refund:
    """A refund of a payment, which ``payment`` or ``charge`` names. ``refund_id``: our own, if it is ours."""
    paid = await payment_row(session, heard, payment=payment, charge=charge, currency=currency)
    row = await _ours(session, heard, external_id, refund_id, paid.id)
    is_new = row is None
    if row is None:
        row = await _theirs(
            session,
            heard,
            external_id,
            payment_id=paid.id,
            account_id=paid.account_id,
            amount=amount,
            currency=currency,
            exponent=exponent_of(currency),
            reason=reason,
        )
        await tell(
            session,
            row,
            before=None,
            changed=dict.fromkeys(("payment_id", "amount", "currency", "status", "reason")),
            actor=actor,
        )
    status = RefundStatus(status)  # callers may have it from JSON
    seen = Seen(rank=ordering.REFUND[status], at=heard.at, event=heard.event)
    if is_new or seen_of(row).is_before(seen):
        row.seen_rank, row.seen_at, row.seen_event = seen.rank, seen.at, seen.event
        await session.flush()
        row = await state.move(
            session,
            row,
            status,
            at=heard.at,
            actor=actor,
            external_id=external_id,
            failure_reason=failure_reason,
            heard=True,
        )
    await payments.recount(session, paid, heard=True)
    await ledger.bring_up(session, row)
    return row


async def _ours(
    session: AsyncSession, heard: Heard, external_id: str, refund_id: UUID | None, payment_id: UUID
) -> Refund | None:
    """The row under the provider's id, or under our own, which the provider kept with the refund."""
    named = Refund.external_id == external_id
    statement = select(Refund).where(Refund.provider == heard.provider, named)
    row = await session.scalar(statement.with_for_update(key_share=True), execution_options=FRESH)
    if row is None and refund_id is not None:
        statement = select(Refund).where(
            Refund.id == refund_id, Refund.payment_id == payment_id, Refund.external_id.is_(None)
        )
        row = await session.scalar(statement.with_for_update(key_share=True), execution_options=FRESH)
    return row


async def _theirs(session: AsyncSession, heard: Heard, external_id: str, **values: Any) -> Refund:
    """Made elsewhere: it counts from when it was heard of. The payment's lock keeps a second one from it."""
    statement = (
        insert(Refund)
        .values(
            provider=str(heard.provider),
            external_id=external_id,
            status=str(RefundStatus.pending),
            called_at=heard.at,
            **values,
        )
        .returning(Refund)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()
