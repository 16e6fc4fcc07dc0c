"""An account's money at a glance, for this desk, for the others, and for the account itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import (
    ANSWERABLE,
    OPEN_DISPUTES,
    CreditKind,
    DisputeStatus,
    InvoiceStatus,
    PaymentStatus,
    SubscriptionStatus,
)
from app.billing.exceptions import BillingAccountNotFoundError
from app.billing.models import CreditGrant, Dispute, Invoice, Payment, Refund, Subscription
from app.billing.schemas.facts import (
    BillingAccountFacts,
    DisputeFact,
    GoodwillFact,
    InvoiceFact,
    PaymentFact,
    RefundFact,
    SubscriptionFact,
)
from app.billing.service import ledger
from app.billing.service.access import sees_money_of
from app.billing.service.credits.caps import quarter_of
from app.billing.service.refunds import policies
from app.billing.utils.money import exponent_of
from app.identity.models import Account
from app.identity.principal import Principal
from app.knowledge import Amount

SHOWN = 10  # of each kind of thing
BESIDE = 3  # beside another desk's case
PAYABLE = (InvoiceStatus.open, InvoiceStatus.uncollectible)
UNDECIDED = OPEN_DISPUTES | ANSWERABLE | {DisputeStatus.warning_under_review}
ENDED = (SubscriptionStatus.canceled, SubscriptionStatus.incomplete_expired)


async def check_account(session: AsyncSession, account_id: UUID, *, principal: Principal) -> None:
    """``BillingAccountNotFoundError`` unless there is such an account whose money the caller may see."""
    seen = sees_money_of(principal, account_id)
    if not seen or await session.get(Account, account_id) is None:
        raise BillingAccountNotFoundError("There is no such account.")


async def facts_of(
    session: AsyncSession,
    account_id: UUID,
    *,
    principal: Principal,
    as_of: datetime | None = None,
    limit: int = SHOWN,
) -> BillingAccountFacts:
    """The account's facts, ``limit`` things of each kind at most; goodwill only for the staff.

    ``BillingAccountNotFoundError`` as ``check_account``.
    """
    await check_account(session, account_id, principal=principal)
    owed, refunded = _payable(account_id, as_of), _refunds(account_id, as_of)
    return BillingAccountFacts(
        account_id=account_id,
        as_of=as_of,
        balances=await ledger.balances(session, account_id, as_of=as_of),
        open_invoices=await _shown(
            session, owed.order_by(Invoice.due_at.nulls_last(), Invoice.id), InvoiceFact, limit
        ),
        open_invoice_count=await _count(session, owed),
        payments=await _shown(session, _payments(account_id, as_of), PaymentFact, limit),
        refunds=await _shown(
            session,
            refunded.order_by(func.coalesce(Refund.succeeded_at, Refund.created_at).desc(), Refund.id),
            RefundFact,
            limit,
        ),
        refund_count=await _count(session, refunded),
        subscriptions=await _shown(session, _subscriptions(account_id, as_of), SubscriptionFact, limit),
        open_disputes=await _shown(session, _disputes(account_id, as_of), DisputeFact, limit),
        goodwill=await _goodwill(session, account_id, as_of) if principal.is_staff else None,
    )


class BillingFacts:
    """``knowledge.AccountFacts``: the account's money beside another desk's case."""

    name = "billing"

    async def facts(
        self, session: AsyncSession, account_id: UUID, *, principal: Principal
    ) -> Mapping[str, Any]:
        """``BillingAccountFacts`` with few things of each kind; empty when the caller may not see them."""
        try:
            found = await facts_of(session, account_id, principal=principal, limit=BESIDE)
        except BillingAccountNotFoundError:
            return {}
        shown: dict[str, Any] = msgspec.to_builtins(found)
        return shown


class BillingRevenue:
    """``knowledge.Revenue``: what the ledger says that accounts really paid."""

    name = "billing"

    async def net_paid(
        self, session: AsyncSession, accounts: Sequence[UUID], *, as_of: datetime | None = None
    ) -> Mapping[UUID, Sequence[Amount]]:
        """See ``ledger.net_paid``."""
        return await ledger.net_paid(session, accounts, as_of=as_of)


def _by(as_of: datetime | None, *moments: Any) -> ColumnElement[bool]:
    """Things that there were at a time, by the first of these moments that is known."""
    return true() if as_of is None else func.coalesce(*moments) <= as_of


def _payable(account_id: UUID, as_of: datetime | None) -> Select[Any]:
    return select(Invoice).where(
        Invoice.account_id == account_id,
        Invoice.status.in_(PAYABLE),
        Invoice.total > Invoice.paid + Invoice.credit_applied + Invoice.reduced,
        _by(as_of, Invoice.issued_at, Invoice.created_at),
    )


def _payments(account_id: UUID, as_of: datetime | None) -> Select[Any]:
    at = func.coalesce(Payment.paid_at, Payment.created_at)
    return (
        select(Payment)
        .where(Payment.account_id == account_id, Payment.status != PaymentStatus.unknown, _by(as_of, at))
        .order_by(at.desc(), Payment.id)
    )


def _refunds(account_id: UUID, as_of: datetime | None) -> Select[Any]:
    happened = (Refund.succeeded_at, Refund.failed_at, Refund.created_at)
    return select(Refund).where(Refund.account_id == account_id, _by(as_of, *happened))


def _subscriptions(account_id: UUID, as_of: datetime | None) -> Select[Any]:
    at = func.coalesce(Subscription.started_at, Subscription.created_at)
    return (
        select(Subscription)
        .where(
            Subscription.account_id == account_id,
            Subscription.status.not_in(ENDED),
            Subscription.plan != literal(""),  # only heard of
            _by(as_of, at),
        )
        .order_by(at.desc(), Subscription.id)
    )


def _disputes(account_id: UUID, as_of: datetime | None) -> Select[Any]:
    return (
        select(Dispute)
        .where(
            Dispute.account_id == account_id,
            Dispute.status.in_(UNDECIDED),
            _by(as_of, Dispute.opened_at, Dispute.created_at),
        )
        .order_by(Dispute.evidence_due_at.nulls_last(), Dispute.id)
    )


async def _goodwill(session: AsyncSession, account_id: UUID, as_of: datetime | None) -> list[GoodwillFact]:
    until = as_of or datetime.now(UTC)
    statement = (
        select(CreditGrant.currency, func.sum(CreditGrant.amount))
        .where(
            CreditGrant.account_id == account_id,
            CreditGrant.kind == CreditKind.goodwill,
            CreditGrant.voided_at.is_(None),
            CreditGrant.granted_at >= quarter_of(until)[0],
            _by(as_of, CreditGrant.granted_at),
        )
        .group_by(CreditGrant.currency)
    )
    granted = {currency: int(amount) for currency, amount in await session.execute(statement)}
    policy = await policies.current(session)
    # A currency that the policy does not name has nothing to give; null in the policy is no limit.
    caps: dict[str, int | None] = {each["currency"]: each["per_quarter"] for each in policy.goodwill}
    return [
        _left(currency, granted.get(currency, 0), caps.get(currency, 0))
        for currency in sorted(caps.keys() | granted.keys())
    ]


def _left(currency: str, granted: int, cap: int | None) -> GoodwillFact:
    return GoodwillFact(
        currency=currency,
        exponent=exponent_of(currency),
        granted=granted,
        cap=cap,
        left=None if cap is None else max(0, cap - granted),
    )


async def _shown(session: AsyncSession, statement: Select[Any], shape: type[Any], limit: int) -> list[Any]:
    rows = await session.scalars(statement.limit(limit), execution_options={"populate_existing": True})
    return [msgspec.convert(row, shape, from_attributes=True, strict=False) for row in rows]


async def _count(session: AsyncSession, statement: Select[Any]) -> int:
    return await session.scalar(select(func.count()).select_from(statement.subquery())) or 0
