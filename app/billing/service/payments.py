"""Payments under a lock: what is refunded, lost, and left of one.

Lock order of the desk: account, invoice, payment, refund, dispute, refund request, credit note, case; several
of a kind in the order of their ids. Whoever needs a payment through something that comes later reads that
first without a lock: a refund's payment never changes.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import OPEN_DISPUTES, DisputeStatus, RefundStatus
from app.billing.exceptions import NotRefundableError, PaymentDisputedError, PaymentNotFoundError
from app.billing.models import Dispute, Payment, Refund
from app.billing.service.access import money_of
from app.identity.principal import SYSTEM, Principal

FRESH = {"populate_existing": True}
COUNTED = (RefundStatus.pending, RefundStatus.succeeded)  # neither failed nor canceled


async def get(session: AsyncSession, payment_id: UUID, *, principal: Principal) -> Payment:
    """The payment; ``PaymentNotFoundError`` also when the caller may not see it."""
    statement = select(Payment).where(Payment.id == payment_id, money_of(principal, Payment.account_id))
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise PaymentNotFoundError("There is no such payment.")
    return found


async def lock(session: AsyncSession, payment_id: UUID, *, principal: Principal = SYSTEM) -> Payment:
    """The payment as it is now, kept from changing until the transaction ends; errors as ``get``."""
    await get(session, payment_id, principal=principal)
    statement = select(Payment).where(Payment.id == payment_id).with_for_update(key_share=True)
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def recount(session: AsyncSession, payment: Payment, *, heard: bool) -> None:
    """Make ``refunded`` and ``lost`` of a locked payment the sums of its refunds and disputes, and flush.

    ``heard``: something the provider told made it change. What it told is a fact, even where more was taken
    than captured: ``overdrawn`` then says how much more. What we do ourselves is bound by the check of the
    table, which raises ``IntegrityError``.
    """
    refunded = select(func.coalesce(func.sum(Refund.amount), 0)).where(
        Refund.payment_id == payment.id, Refund.status.in_(COUNTED)
    )
    lost = select(func.coalesce(func.sum(Dispute.amount), 0)).where(
        Dispute.payment_id == payment.id, Dispute.status == DisputeStatus.lost
    )
    counts = int(await session.scalar(refunded) or 0), int(await session.scalar(lost) or 0)
    values = {"refunded": counts[0], "lost": counts[1]}
    if heard:
        values["overdrawn"] = max(0, sum(counts) - payment.captured)
    changed = {name: value for name, value in values.items() if getattr(payment, name) != value}
    for name, value in changed.items():
        setattr(payment, name, value)
    if changed:
        payment.version += 1
    await session.flush()


async def check_refundable(session: AsyncSession, payment: Payment, amount: int) -> None:
    """Of a locked payment: ``PaymentDisputedError`` while one of its disputes is open, ``NotRefundableError``
    when less than ``amount`` minor units is left of what was captured."""
    disputed = select(Dispute.id).where(Dispute.payment_id == payment.id, Dispute.status.in_(OPEN_DISPUTES))
    if (dispute_id := await session.scalar(disputed.limit(1))) is not None:
        raise PaymentDisputedError("A dispute of this payment is open.", dispute_id=dispute_id)
    if amount > payment.refundable:
        raise NotRefundableError(
            f"Only {payment.refundable} of this payment's {payment.currency} minor units can be refunded.",
            refundable=payment.refundable,
            currency=payment.currency,
            exponent=payment.exponent,
        )
