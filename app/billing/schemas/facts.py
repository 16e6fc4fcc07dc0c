"""What is known of an account's money, at a glance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import DisputeStatus, Interval, InvoiceStatus, PaymentStatus, RefundStatus
from app.billing.constants import SubscriptionStatus as Subscribed
from app.billing.schemas.ledger import AccountBalance
from app.billing.schemas.money import CurrencyCode, Exponent


class InvoiceFact(Struct, frozen=True, kw_only=True):
    """An invoice that is still to be paid."""

    id: UUID
    number: str | None
    status: InvoiceStatus
    total: Annotated[int, Meta(description="In minor units.")]
    owed: Annotated[int, Meta(description="What is left to pay of it, in minor units.")]
    currency: CurrencyCode
    exponent: Exponent
    issued_at: datetime | None
    due_at: datetime | None


class PaymentFact(Struct, frozen=True, kw_only=True):
    """A payment, and what became of its money."""

    id: UUID
    invoice_id: UUID | None
    status: PaymentStatus
    captured: Annotated[int, Meta(description="In minor units.")]
    refunded: Annotated[int, Meta(description="Refunded or on its way back, in minor units.")]
    lost: Annotated[int, Meta(description="Lost to disputes, in minor units.")]
    currency: CurrencyCode
    exponent: Exponent
    method: str | None
    paid_at: datetime | None


class RefundFact(Struct, frozen=True, kw_only=True):
    """A refund, or one that did not come to be."""

    id: UUID
    payment_id: UUID
    status: RefundStatus
    amount: Annotated[int, Meta(description="In minor units.")]
    currency: CurrencyCode
    exponent: Exponent
    created_at: datetime
    succeeded_at: datetime | None


class DisputeFact(Struct, frozen=True, kw_only=True):
    """A dispute that is not decided."""

    id: UUID
    payment_id: UUID
    status: DisputeStatus
    amount: Annotated[int, Meta(description="In minor units.")]
    currency: CurrencyCode
    exponent: Exponent
    reason: str | None
    opened_at: datetime | None
    evidence_due_at: datetime | None


class SubscriptionFact(Struct, frozen=True, kw_only=True):
    """A subscription that has not ended."""

    id: UUID
    plan: str
    plan_name: str
    status: Subscribed
    quantity: int
    unit_amount: Annotated[int, Meta(description="Price of one a period, in minor units.")]
    currency: CurrencyCode
    exponent: Exponent
    interval: Interval
    interval_count: int
    current_period_end: datetime | None
    cancel_at: datetime | None


class GoodwillFact(Struct, frozen=True, kw_only=True):
    """Goodwill of this quarter in a currency."""

    currency: CurrencyCode
    exponent: Exponent
    granted: Annotated[int, Meta(description="Granted since the quarter began, in minor units.")]
    cap: Annotated[int | None, Meta(description="Of the quarter, in minor units; null: none is set.")]
    left: Annotated[int | None, Meta(description="What may still be granted; null without a cap.")]


class BillingAccountFacts(Struct, frozen=True, kw_only=True):
    """What is known of an account's money.

    ``balances`` are those of the moment asked for; the things are those that there were by then, as they
    stand now. Of each kind the most pressing or the newest ones.
    """

    account_id: UUID
    as_of: Annotated[datetime | None, Meta(description="The moment asked for; null: now.")]
    balances: list[AccountBalance]
    open_invoices: Annotated[list[InvoiceFact], Meta(description="The first due first.")]
    open_invoice_count: int
    payments: Annotated[list[PaymentFact], Meta(description="The newest first.")]
    refunds: Annotated[list[RefundFact], Meta(description="The newest first, failed ones too.")]
    refund_count: int
    subscriptions: Annotated[list[SubscriptionFact], Meta(description="The newest first.")]
    open_disputes: Annotated[list[DisputeFact], Meta(description="The first due first.")]
    goodwill: Annotated[
        list[GoodwillFact] | None, Meta(description="What the policy leaves this quarter; null to customers.")
    ]
