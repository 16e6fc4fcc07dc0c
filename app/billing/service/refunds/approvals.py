"""Who lets a refund happen: another one than who asked for it, within the limits of their role.

Limits are those of the policy version in force, a role and a currency. A day is one of UTC. Approvals of one
approver in one currency queue up behind an advisory lock, taken before any row's: the day's sum holds however
many come at once. What is approved stays counted, whether or not it is executed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import SPLIT_DAYS, RequestStatus
from app.billing.exceptions import ApprovalLimitError, SelfApprovalError
from app.billing.models import Invoice, Payment, RefundPolicy, RefundRequest
from app.billing.service import payments
from app.billing.service.refunds import policies
from app.billing.service.refunds.changes import change, check_transition, get, identity_of, lock
from app.identity.constants import Role
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

LOCK = text("select pg_advisory_xact_lock(hashtextextended('refund approval ' || :who || :currency, 0))")
STANDING = (RequestStatus.approved, RequestStatus.executing, RequestStatus.refunded)
WAS_APPROVED = RefundRequest.policy_version.is_not(None)  # whatever became of it


async def approve(
    session: AsyncSession,
    request_id: UUID,
    *,
    actor: Principal,
    note: str = "",
    expected: Expected = ANYTHING,
    at: datetime | None = None,
) -> RefundRequest:
    """Let a requested refund be executed, until the policy's hours have passed.

    ``SelfApprovalError``, ``ApprovalLimitError``, ``RequestTransitionError``, ``NotRefundableError``,
    ``PaymentDisputedError``, ``VersionMismatchError``, ``RefundRequestNotFoundError``.
    """
    at = at or datetime.now(UTC)
    who = identity_of(actor)
    found = await get(session, request_id, principal=actor)
    await session.execute(LOCK, {"who": who, "currency": found.currency})
    payment = await _lock_payment(session, found.payment_id)
    request = await lock(session, request_id, principal=actor)
    expected.check(request.version)
    check_transition(request, RequestStatus.approved)
    if request.requested_by == who:
        raise SelfApprovalError("You asked for this refund: somebody else approves it.")
    policy = await policies.current(session)
    await _check_limits(session, request, payment, policy, actor=actor, at=at)
    await payments.check_refundable(session, payment, request.amount)
    values = _decided(actor, note, at) | {
        "status": RequestStatus.approved,
        "policy_version": policy.version,
        "expires_at": at + timedelta(hours=policy.approval_hours),
    }
    return await change(session, request, values, actor=actor)


async def reject(
    session: AsyncSession,
    request_id: UUID,
    *,
    actor: Principal,
    note: str = "",
    expected: Expected = ANYTHING,
) -> RefundRequest:
    """Decide that a requested refund does not happen; errors as ``approve`` but for limits."""
    request = await lock(session, request_id, principal=actor)
    expected.check(request.version)
    check_transition(request, RequestStatus.rejected)
    values = _decided(actor, note, datetime.now(UTC)) | {"status": RequestStatus.rejected}
    return await change(session, request, values, actor=actor)


def _decided(actor: Principal, note: str, at: datetime) -> dict[str, Any]:
    return {
        "decided_by": identity_of(actor),
        "decided_by_id": actor.person_id,
        "decided_role": actor.role.value,
        "decided_at": at,
        "decision_note": redact(note),
    }


async def _lock_payment(session: AsyncSession, payment_id: UUID) -> Payment:
    """With its invoice first, whose other payments' requests count together with this one's."""
    invoice_id = await session.scalar(select(Payment.invoice_id).where(Payment.id == payment_id))
    if invoice_id is not None:
        await session.execute(
            select(Invoice.id).where(Invoice.id == invoice_id).with_for_update(key_share=True)
        )
    return await payments.lock(session, payment_id)


async def _check_limits(
    session: AsyncSession,
    request: RefundRequest,
    payment: Payment,
    policy: RefundPolicy,
    *,
    actor: Principal,
    at: datetime,
) -> None:
    split = await _sum(
        session,
        request.currency,
        _same_purchase(payment),
        RefundRequest.status.in_(STANDING),
        RefundRequest.decided_at > at - timedelta(days=SPLIT_DAYS),
    )
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = await _sum(
        session,
        request.currency,
        RefundRequest.decided_by == identity_of(actor),
        RefundRequest.decided_at >= midnight,
        RefundRequest.decided_at < midnight + timedelta(days=1),
        WAS_APPROVED,
    )
    left = _left(policies.limit_of(policy, actor.role, request.currency), split, today)
    if left is None or request.amount <= left:
        return
    limit = policies.limit_of(policy, actor.role, request.currency) or {}
    raise ApprovalLimitError(
        f"The role {actor.role} may approve {left} more minor units of {request.currency} here today.",
        per_request=limit.get("per_request", 0),
        per_day=limit.get("per_day", 0),
        counted_together=split,
        approved_today=today,
        left=left,
        currency=request.currency,
        exponent=request.exponent,
        policy_version=policy.version,
        roles=[role for role in Role if _could(policy, role, request, split)],
    )


def _left(limit: dict[str, Any] | None, split: int, today: int) -> int | None:
    """Minor units that may still be approved; None: any amount."""
    if limit is None:
        return 0
    given = ((limit["per_request"], split), (limit["per_day"], today))
    return min((max(0, most - used) for most, used in given if most is not None), default=None)


def _could(policy: RefundPolicy, role: Role, request: RefundRequest, split: int) -> bool:
    """Whether somebody of this role, who has approved nothing today, could."""
    left = _left(policies.limit_of(policy, role, request.currency), split, 0)
    return left is None or request.amount <= left


def _same_purchase(payment: Payment) -> ColumnElement[bool]:
    if payment.invoice_id is None:
        return RefundRequest.payment_id == payment.id
    of_invoice = select(Payment.id).where(Payment.invoice_id == payment.invoice_id)
    return or_(RefundRequest.payment_id == payment.id, RefundRequest.payment_id.in_(of_invoice))


async def _sum(session: AsyncSession, currency: str, *conditions: ColumnElement[bool]) -> int:
    statement = select(func.coalesce(func.sum(RefundRequest.amount), 0)).where(
        RefundRequest.currency == currency, *conditions
    )
    return int(await session.scalar(statement) or 0)
