"""The provider's things, as the API shows them. Amounts are minor units of the thing's ``currency``."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import (
    DisputeStatus,
    Interval,
    InvoiceStatus,
    PaymentStatus,
    Provider,
    RefundStatus,
    SubscriptionStatus,
)
from app.billing.schemas.money import CurrencyCode, Exponent

StaffOnly = Meta(description="For the staff only; null for customers.")
External = Annotated[str | None, Meta(description="Its id at the provider. For the staff only.")]
Rate = Annotated[Decimal, Meta(description="Percent.", examples=["20.0000"])]


class RefundStage(StrEnum):
    """How far a pending refund has come."""

    reserved = "reserved"  # no call was made yet
    unanswered = "unanswered"  # called, and nobody knows what the provider did; the call is made again
    accepted = "accepted"  # the provider has it and has not carried it out yet
    settled = "settled"  # no longer pending


class MirroredView(Struct, frozen=True, kw_only=True):
    """What every one of the provider's things has."""

    id: UUID
    provider: Annotated[Provider, Meta(description="Where it comes from.")]
    external_id: External
    account_id: Annotated[UUID | None, Meta(description="Null until it is known whose it is.")]
    currency: CurrencyCode
    exponent: Exponent
    created_at: datetime
    updated_at: datetime
    version: int


class SubscriptionView(MirroredView, frozen=True, kw_only=True):
    """A plan that an account pays for by the period."""

    plan: Annotated[str, Meta(examples=["business-monthly"])]
    plan_name: str
    status: SubscriptionStatus
    quantity: int
    unit_amount: Annotated[int, Meta(description="Price of one a period.", examples=[4900])]
    interval: Interval
    interval_count: int
    started_at: datetime | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None


class InvoiceLineView(Struct, frozen=True, kw_only=True):
    """A line of an invoice; `amount` is net."""

    id: UUID
    position: int
    external_id: External
    description: str
    quantity: int
    unit_amount: int | None
    amount: int
    tax_rate: Rate
    tax_amount: Annotated[int, Meta(description="Its share of the invoice's tax.")]
    period_start: datetime | None
    period_end: datetime | None


class InvoiceView(MirroredView, frozen=True, kw_only=True):
    """An invoice. `owed` is the total without what was paid, credited and reduced."""

    number: str | None
    status: Annotated[InvoiceStatus, Meta(description="`unknown`: only its id was heard of.")]
    subscription_id: UUID | None
    subtotal: int
    tax: int
    total: int
    paid: int
    credit_applied: Annotated[int, Meta(description="Paid by the account's credit.")]
    reduced: Annotated[int, Meta(description="Taken off by credit notes.")]
    owed: int
    description: str | None
    issued_at: datetime | None
    due_at: datetime | None
    paid_at: datetime | None
    voided_at: datetime | None
    lines: list[InvoiceLineView]


class PaymentView(MirroredView, frozen=True, kw_only=True):
    """A payment, and what is left of it."""

    status: Annotated[PaymentStatus, Meta(description="`unknown`: only its id was heard of.")]
    invoice_id: UUID | None
    charge_id: External
    amount: int
    captured: int
    refunded: Annotated[int, Meta(description="By refunds that did not fail, pending ones included.")]
    lost: Annotated[int, Meta(description="By disputes that were lost.")]
    overdrawn: Annotated[int, Meta(description="How much more was taken back than captured.")]
    refundable: Annotated[int, Meta(description="Left to refund; nothing while a dispute is open.")]
    disputed: Annotated[bool, Meta(description="Whether a dispute of it is open.")]
    method: Annotated[str | None, Meta(examples=["card"])]
    failure_code: str | None
    description: str | None
    paid_at: datetime | None


class RefundView(Struct, frozen=True, kw_only=True):
    """A refund, from its reserve on."""

    id: UUID
    provider: Provider
    external_id: External
    payment_id: UUID
    account_id: UUID | None
    status: RefundStatus
    stage: Annotated[RefundStage, Meta(description="`reserved`: pending, and no call was made.")]
    amount: int
    currency: CurrencyCode
    exponent: Exponent
    reason: str | None
    failure_reason: Annotated[str | None, StaffOnly]
    attempts: Annotated[int | None, Meta(description="Calls to the provider. For the staff only.")]
    called_at: Annotated[datetime | None, Meta(description="The first call. For the staff only.")]
    next_attempt_at: Annotated[datetime | None, StaffOnly]
    succeeded_at: datetime | None
    failed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class DisputeView(MirroredView, frozen=True, kw_only=True):
    """A charge that the cardholder's bank takes back, or asks about."""

    payment_id: UUID
    status: DisputeStatus
    amount: int
    reason: str | None
    opened_at: datetime | None
    evidence_due_at: datetime | None
    closed_at: datetime | None
