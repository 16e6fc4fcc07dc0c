"""The sandbox provider's own events, and what one can make happen there."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import DisputeStatus, Provider, RefundStatus
from app.billing.exceptions import DisputeNotFoundError
from app.billing.models import Dispute, Payment, SandboxFault, SandboxRefund
from app.billing.providers.sandbox import PREFIX, FaultKind
from app.billing.service import mirror, payments
from app.billing.service.mirror import Heard
from app.database import Database
from app.identity.principal import Principal

DELIVER_SECONDS = 5
BATCH = 50


async def deliver(database: Database) -> int:
    """Let the sandbox send the events that wait; returns how many refunds they were about.

    Each in one transaction with what it changes. The sandbox tells of a refund when it pleases, also before
    the call that made it has returned.
    """
    told = 0
    while True:
        async with database.session() as session:
            waiting = (
                select(SandboxRefund)
                .where(SandboxRefund.following.is_not(None))
                .order_by(SandboxRefund.created_at, SandboxRefund.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            refunds = (await session.scalars(waiting)).all()
            for refund in refunds:
                await _tell(session, refund)
        told += len(refunds)
        if len(refunds) < BATCH:
            return told


async def _tell(session: AsyncSession, refund: SandboxRefund) -> None:
    status = RefundStatus(str(refund.following))
    heard = Heard(
        provider=Provider.sandbox, at=datetime.now(UTC), event=f"evt_sandbox_{refund.id.hex}_{status}"
    )
    for _ in range(refund.repeats):
        await mirror.record_refund(
            session,
            heard,
            PREFIX + refund.id.hex,
            currency=refund.currency,
            amount=refund.amount,
            status=status,
            payment=refund.payment,
            refund_id=UUID(refund.idempotency_key),
            failure_reason="expired_or_canceled_card" if status is RefundStatus.failed else None,
        )
    refund.status, refund.following = str(status), None
    await session.flush()


async def plan(session: AsyncSession, kind: FaultKind, count: int) -> SandboxFault:
    """Let the next ``count`` calls fail like that, after those that are planned already."""
    made = insert(SandboxFault).values(kind=str(kind), remaining=count).returning(SandboxFault)
    return (await session.scalars(made)).one()


async def planned(session: AsyncSession) -> list[SandboxFault]:
    """The faults to come, next first."""
    return list(await session.scalars(select(SandboxFault).order_by(SandboxFault.id)))


async def clear(session: AsyncSession) -> None:
    """Nothing fails any more."""
    await session.execute(delete(SandboxFault))


async def open_dispute(
    session: AsyncSession,
    payment_id: UUID,
    *,
    amount: int | None,
    reason: str,
    evidence_due_at: datetime | None,
    actor: Principal,
) -> Dispute:
    """Let a cardholder dispute a payment, all of it unless told otherwise."""
    payment = await payments.get(session, payment_id, principal=actor)
    now = datetime.now(UTC)
    heard = Heard(provider=Provider(payment.provider), at=now, event=f"evt_sandbox_{uuid4().hex}")
    return await mirror.record_dispute(
        session,
        heard,
        f"dp_sandbox_{uuid4().hex}",
        currency=payment.currency,
        payment=payment.external_id,
        amount=payment.captured if amount is None else amount,
        status=DisputeStatus.needs_response,
        reason=reason,
        opened_at=now,
        evidence_due_at=evidence_due_at,
        actor=actor,
    )


async def decide_dispute(
    session: AsyncSession, dispute_id: UUID, status: DisputeStatus, *, actor: Principal
) -> Dispute:
    """Let the bank decide; ``DisputeNotFoundError``."""
    dispute = await session.get(Dispute, dispute_id)
    if dispute is None:
        raise DisputeNotFoundError("There is no such dispute.")
    payment = await session.get_one(Payment, dispute.payment_id)
    now = datetime.now(UTC)
    heard = Heard(provider=Provider(dispute.provider), at=now, event=f"evt_sandbox_{uuid4().hex}")
    return await mirror.record_dispute(
        session,
        heard,
        dispute.external_id,
        currency=dispute.currency,
        payment=payment.external_id,
        amount=dispute.amount,
        status=status,
        closed_at=now,
        actor=actor,
    )
