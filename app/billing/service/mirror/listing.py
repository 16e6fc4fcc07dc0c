"""Lists of the provider's things, and single ones by their id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import OPEN_DISPUTES, InvoiceStatus
from app.billing.models import Dispute, Invoice, Payment, Refund, Subscription
from app.billing.service.access import money_of
from app.exceptions import NotFoundError
from app.identity.principal import Principal
from app.listing import Listing, any_of, matching, within

T = TypeVar("T", Subscription, Invoice, Payment, Refund, Dispute)
DEFAULT = "-created_at"

SUBSCRIPTIONS = Listing(
    Subscription,
    sorts={
        "created_at": Subscription.created_at,
        "current_period_end": Subscription.current_period_end,
        "unit_amount": Subscription.unit_amount,
    },
    default=DEFAULT,
)
INVOICES = Listing(
    Invoice,
    sorts={
        "created_at": Invoice.created_at,
        "issued_at": Invoice.issued_at,
        "due_at": Invoice.due_at,
        "total": Invoice.total,
    },
    default=DEFAULT,
)
PAYMENTS = Listing(
    Payment,
    sorts={"created_at": Payment.created_at, "paid_at": Payment.paid_at, "amount": Payment.amount},
    default=DEFAULT,
)
REFUNDS = Listing(Refund, sorts={"created_at": Refund.created_at, "amount": Refund.amount}, default=DEFAULT)
DISPUTES = Listing(
    Dispute,
    sorts={
        "created_at": Dispute.created_at,
        "evidence_due_at": Dispute.evidence_due_at,
        "amount": Dispute.amount,
    },
    default=DEFAULT,
)


class MirrorFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a kind: each member that is given must hold, any of its values will do.

    Members that a kind does not have are left out by its list. Amounts: minor units, both ends included.
    """

    status: Sequence[str] | None = None
    provider: Sequence[str] | None = None
    account_id: Sequence[UUID] | None = None
    subscription_id: Sequence[UUID] | None = None
    invoice_id: Sequence[UUID] | None = None
    payment_id: Sequence[UUID] | None = None
    currency: Sequence[str] | None = None
    number: Sequence[str] | None = None
    plan: Sequence[str] | None = None
    method: Sequence[str] | None = None
    reason: Sequence[str] | None = None
    amount_min: int | None = None
    amount_max: int | None = None
    overdue: bool | None = None
    disputed: bool | None = None
    q: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    moment_after: datetime | None = None  # issued, paid, ends, evidence due: as the kind has it
    moment_before: datetime | None = None


async def get(
    session: AsyncSession, model: type[T], key: UUID, *, principal: Principal, missing: type[NotFoundError]
) -> T:
    """The thing; ``missing`` also when the caller may not see it."""
    statement = select(model).where(model.id == key, money_of(principal, model.account_id))
    found = await session.scalar(statement, execution_options={"populate_existing": True})
    if found is None:
        raise missing(f"There is no such {model.__tablename__}.")
    return found


def subscriptions(principal: Principal, asked: MirrorFilter) -> Select[Subscription]:
    """Subscriptions that the caller may see and wants; ``moment``: the end of the period."""
    return _common(Subscription, principal, asked).where(
        any_of(Subscription.plan, asked.plan),
        _between(Subscription.unit_amount, asked),
        matching(asked.q, Subscription.plan, Subscription.plan_name, *_ids(Subscription, principal)),
        within(Subscription.current_period_end, asked.moment_after, asked.moment_before, name="ends"),
    )


def invoices(principal: Principal, asked: MirrorFilter) -> Select[Invoice]:
    """Invoices; ``amount``: the total, ``moment``: the issue."""
    return _common(Invoice, principal, asked).where(
        any_of(Invoice.subscription_id, asked.subscription_id),
        any_of(Invoice.number, asked.number),
        _between(Invoice.total, asked),
        _whether(_overdue(), wanted=asked.overdue),
        matching(asked.q, Invoice.number, Invoice.description, *_ids(Invoice, principal)),
        within(Invoice.issued_at, asked.moment_after, asked.moment_before, name="issued"),
    )


def payments(principal: Principal, asked: MirrorFilter) -> Select[Payment]:
    """Payments; ``moment``: when they were paid."""
    disputed = select(Dispute.id).where(Dispute.payment_id == Payment.id, Dispute.status.in_(OPEN_DISPUTES))
    return _common(Payment, principal, asked).where(
        any_of(Payment.invoice_id, asked.invoice_id),
        _through(Payment.invoice_id, Invoice.id, Invoice.subscription_id, asked.subscription_id),
        any_of(Payment.method, asked.method),
        _between(Payment.amount, asked),
        _whether(disputed.exists(), wanted=asked.disputed),
        matching(asked.q, Payment.description, *_ids(Payment, principal)),
        within(Payment.paid_at, asked.moment_after, asked.moment_before, name="paid"),
    )


def refunds(principal: Principal, asked: MirrorFilter) -> Select[Refund]:
    """Refunds."""
    return _common(Refund, principal, asked).where(
        any_of(Refund.payment_id, asked.payment_id),
        _through(Refund.payment_id, Payment.id, Payment.invoice_id, asked.invoice_id),
        any_of(Refund.reason, asked.reason),
        _between(Refund.amount, asked),
    )


def disputes(principal: Principal, asked: MirrorFilter) -> Select[Dispute]:
    """Disputes; ``moment``: until when the evidence is due."""
    return _common(Dispute, principal, asked).where(
        any_of(Dispute.payment_id, asked.payment_id),
        _through(Dispute.payment_id, Payment.id, Payment.invoice_id, asked.invoice_id),
        any_of(Dispute.reason, asked.reason),
        _between(Dispute.amount, asked),
        within(Dispute.evidence_due_at, asked.moment_after, asked.moment_before, name="evidence_due"),
    )


def _common(model: Any, principal: Principal, asked: MirrorFilter) -> Select[Any]:
    return select(model).where(
        money_of(principal, model.account_id),
        any_of(model.status, asked.status),
        any_of(model.provider, asked.provider),
        any_of(model.account_id, asked.account_id),
        any_of(model.currency, asked.currency),
        within(model.created_at, asked.created_after, asked.created_before),
    )


def _ids(model: Any, principal: Principal) -> list[Any]:
    """What else the staff search by."""
    if not principal.is_staff:
        return []
    return [model.external_id, model.charge_id] if model is Payment else [model.external_id]


def _between(column: Any, asked: MirrorFilter) -> ColumnElement[bool]:
    low = true() if asked.amount_min is None else column >= asked.amount_min
    high = true() if asked.amount_max is None else column <= asked.amount_max
    return and_(low, high)


def _through(key: Any, other: Any, column: Any, values: Sequence[UUID] | None) -> ColumnElement[bool]:
    if values is None:
        return true()
    found: ColumnElement[bool] = key.in_(select(other).where(column.in_(list(values))))
    return found


def _whether(condition: ColumnElement[bool], *, wanted: bool | None) -> ColumnElement[bool]:
    if wanted is None:
        return true()
    return condition if wanted else ~func.coalesce(condition, False)


def _overdue() -> ColumnElement[bool]:
    owed = Invoice.total > Invoice.paid + Invoice.credit_applied + Invoice.reduced
    return and_(Invoice.status == InvoiceStatus.open, Invoice.due_at < func.now(), owed)
