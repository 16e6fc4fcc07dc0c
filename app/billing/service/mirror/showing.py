"""The provider's things as a caller may see them: ids at the provider are for the staff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Struct, convert, structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import OPEN_DISPUTES, RefundStatus
from app.billing.models import Dispute, Invoice, InvoiceLine, Payment, Refund, Subscription
from app.billing.schemas.mirror import (
    DisputeView,
    InvoiceLineView,
    InvoiceView,
    PaymentView,
    RefundStage,
    RefundView,
    SubscriptionView,
)
from app.identity.principal import Principal

View = TypeVar("View", bound=Struct)
STAFF_ONLY = (
    "external_id",
    "charge_id",
    "failure_reason",
    "attempts",
    "called_at",
    "next_attempt_at",
)


def show_subscription(row: Subscription, *, principal: Principal) -> SubscriptionView:
    """A subscription."""
    return _show(row, SubscriptionView, principal)


def show_dispute(row: Dispute, *, principal: Principal) -> DisputeView:
    """A dispute."""
    return _show(row, DisputeView, principal)


def show_refund(row: Refund, *, principal: Principal) -> RefundView:
    """A refund, with how far it has come."""
    return _show(row, RefundView, principal, stage=stage_of(row))


def stage_of(refund: Refund) -> RefundStage:
    """Where a refund is between us and the provider."""
    if refund.status != RefundStatus.pending:
        return RefundStage.settled
    if refund.external_id is not None:
        return RefundStage.accepted
    return RefundStage.reserved if refund.called_at is None else RefundStage.unanswered


async def show_invoices(
    session: AsyncSession, rows: Sequence[Invoice], *, principal: Principal
) -> list[InvoiceView]:
    """Invoices with their lines: one query for all."""
    statement = (
        select(InvoiceLine)
        .where(InvoiceLine.invoice_id.in_([each.id for each in rows]))
        .order_by(InvoiceLine.invoice_id, InvoiceLine.position)
    )
    lines: dict[UUID, list[InvoiceLineView]] = {}
    for line in await session.scalars(statement, execution_options={"populate_existing": True}):
        lines.setdefault(line.invoice_id, []).append(_show(line, InvoiceLineView, principal))
    return [_show(each, InvoiceView, principal, lines=lines.get(each.id, [])) for each in rows]


async def show_payments(
    session: AsyncSession, rows: Sequence[Payment], *, principal: Principal
) -> list[PaymentView]:
    """Payments, and whether a dispute of each is open: one query for all."""
    statement = select(Dispute.payment_id).where(
        Dispute.payment_id.in_([each.id for each in rows]), Dispute.status.in_(OPEN_DISPUTES)
    )
    disputed = set(await session.scalars(statement))
    return [_show(each, PaymentView, principal, disputed=each.id in disputed) for each in rows]


def _show(row: Any, view: type[View], principal: Principal, **beside: Any) -> View:
    names = [each.name for each in structs.fields(view) if each.name not in beside]
    values = {name: getattr(row, name) for name in names}
    if not principal.is_staff:
        values |= {name: None for name in STAFF_ONLY if name in values}
    return convert(values | beside, view)
