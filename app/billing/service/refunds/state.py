"""From one status of a refund to another: the only writer of it, whoever learnt what became of the refund."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import REFUND_RANKS, RefundStatus, RequestStatus
from app.billing.models import Payment, Refund, RefundRequest
from app.billing.service import ledger, payments
from app.billing.service.refunds import changes
from app.events import Subject
from app.identity.principal import Principal

FRESH = {"populate_existing": True}
REFUND_TYPE = "refund"
TOLD = ("status", "external_id", "failure_reason", "succeeded_at", "failed_at")
OUTCOMES = {
    RefundStatus.succeeded: RequestStatus.refunded,
    RefundStatus.failed: RequestStatus.failed,
    RefundStatus.canceled: RequestStatus.failed,
}


async def move(
    session: AsyncSession,
    refund: Refund,
    to: RefundStatus,
    *,
    at: datetime,
    actor: Principal,
    external_id: str | None = None,
    failure_reason: str | None = None,
    heard: bool,
) -> Refund:
    """Move a refund whose payment is locked, and all that follows from it.

    The status only rises: pending < succeeded, canceled < failed; what is behind it changes nothing but an
    ``external_id`` that was not known. One that fails after it succeeded is allowed: the ledger reverses it.
    ``at``: when it happened; said again, the time said last holds. ``heard``: the provider said so, see
    ``payments.recount``. The request and the case behind the refund follow.
    """
    refund = await lock(session, refund)
    before = {name: getattr(refund, name) for name in TOLD}
    changed = {
        name: value
        for name, value in _values(refund, to, at, external_id, failure_reason).items()
        if getattr(refund, name) != value
    }
    if not changed:
        return refund
    refund = await _change(session, refund, changed)
    payment = await session.get_one(Payment, refund.payment_id)
    await payments.recount(session, payment, heard=heard)
    await ledger.bring_up(session, refund)
    await record(
        session,
        f"refund.{refund.status}" if "status" in changed else "refund.updated",
        refund,
        actor=actor,
        before={name: before[name] for name in changed if name in TOLD},
        after={name: getattr(refund, name) for name in changed if name in TOLD},
    )
    if "status" in changed:
        await _move_request(session, refund, actor=actor)
    return refund


async def lock(session: AsyncSession, refund: Refund) -> Refund:
    """The refund as it is now, kept from changing; its payment is locked before."""
    statement = select(Refund).where(Refund.id == refund.id).with_for_update(key_share=True)
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    refund: Refund,
    *,
    actor: Principal,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    customer_visible: bool = True,
) -> None:
    """An event about a refund; customers who may see what their account pays see it."""
    await events.record(
        session,
        type,
        subject=Subject(REFUND_TYPE, refund.id),
        actor=actor,
        before=before,
        after=(after or {}) | {"payment_id": refund.payment_id, "version": refund.version},
        account_id=refund.account_id,
        customer_visible=customer_visible,
        staff_fields=["external_id", "failure_reason"],
    )


def _values(
    refund: Refund, to: RefundStatus, at: datetime, external_id: str | None, failure_reason: str | None
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if external_id is not None and refund.external_id is None:
        values["external_id"] = external_id
    status = RefundStatus(refund.status)
    if REFUND_RANKS[to] < REFUND_RANKS[status]:
        return values
    values["status"] = to
    if to is RefundStatus.succeeded:
        values |= {"succeeded_at": at, "failed_at": None, "failure_reason": None}
    elif to is not RefundStatus.pending:
        values |= {
            "succeeded_at": None,
            "failed_at": at,
            "failure_reason": failure_reason or refund.failure_reason,
        }
    return values


async def _change(session: AsyncSession, refund: Refund, values: dict[str, Any]) -> Refund:
    """One version more; nothing is left to be called for as soon as the provider has given it an id."""
    if refund.status != RefundStatus.pending or {"status", "external_id"} & values.keys():
        values = values | {"next_attempt_at": None}
    statement = (
        update(Refund)
        .where(Refund.id == refund.id)
        .values(version=Refund.version + 1, updated_at=func.now(), **values)
        .returning(Refund)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def _move_request(session: AsyncSession, refund: Refund, *, actor: Principal) -> None:
    request = await session.scalar(
        select(RefundRequest).where(RefundRequest.refund_id == refund.id).with_for_update(key_share=True),
        execution_options=FRESH,
    )
    to = OUTCOMES.get(RefundStatus(refund.status))
    if request is None or to is None or request.status == to:
        return
    reason = refund.failure_reason or refund.status if to is RequestStatus.failed else None
    await changes.change(session, request, {"status": to, "failure_reason": reason}, actor=actor)
