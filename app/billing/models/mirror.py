"""The provider's world: customers, subscriptions, invoices, payments, refunds, disputes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.billing.models.base import ZERO, InCurrency, Mirrored, minor_units
from app.models import Base, Identified, Timestamped

TAX_RATE = Numeric(7, 4)  # percent


def _columns(name: str) -> tuple[UniqueConstraint, Index, Index, Index]:
    return (
        UniqueConstraint("provider", "external_id"),
        Index(f"ix_{name}_created_at_id", "created_at", "id"),
        Index(f"ix_{name}_account_id_created_at", "account_id", "created_at", "id"),
        Index(f"ix_{name}_customer_id", "customer_id"),
    )


class BillingCustomer(Identified, Timestamped, Base):
    """Whose customer at the provider an account is; the account is null until it is known."""

    __tablename__ = "billing_customer"
    __table_args__ = (UniqueConstraint("provider", "external_id"), Index(None, "account_id"))

    provider: Mapped[str]
    external_id: Mapped[str]
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class Subscription(Mirrored, InCurrency, Base):
    """A plan that an account pays for by the period. ``unit_amount`` is the price of one a period."""

    __tablename__ = "subscription"
    __table_args__ = (
        *_columns("subscription"),
        CheckConstraint("quantity >= 0", name="quantity"),
        CheckConstraint("interval in ('day', 'week', 'month', 'year')", name="interval"),
    )

    plan: Mapped[str]
    plan_name: Mapped[str]
    status: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    unit_amount: Mapped[int] = minor_units()
    interval: Mapped[str]
    interval_count: Mapped[int] = mapped_column(server_default=text("1"))
    started_at: Mapped[datetime | None]
    current_period_start: Mapped[datetime | None]
    current_period_end: Mapped[datetime | None]
    cancel_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Invoice(Mirrored, InCurrency, Base):
    """``total`` = ``subtotal`` + ``tax``. ``paid``: by payments; ``credit_applied``: by credit;
    ``reduced``: by credit notes. What is owed is the total without these three."""

    __tablename__ = "invoice"
    __table_args__ = (
        *_columns("invoice"),
        CheckConstraint(
            "status in ('unknown', 'draft', 'open', 'paid', 'uncollectible', 'void')", name="status"
        ),
        CheckConstraint("total = subtotal + tax", name="total"),
        Index(None, "number"),
        Index(None, "account_id", "issued_at"),
        Index(None, "subscription_id"),
    )

    number: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="unknown")
    subscription_id: Mapped[UUID | None] = mapped_column(ForeignKey("subscription.id"))
    subtotal: Mapped[int] = minor_units(required=False)
    tax: Mapped[int] = minor_units(required=False)
    total: Mapped[int] = minor_units(required=False)
    paid: Mapped[int] = minor_units(required=False)
    credit_applied: Mapped[int] = minor_units(required=False)
    reduced: Mapped[int] = minor_units(required=False)
    description: Mapped[str | None] = mapped_column(Text)
    issued_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]

    @property
    def owed(self) -> int:
        """What is still to be paid, in minor units, never negative; nothing unless it is open."""
        if self.status not in ("open", "uncollectible"):
            return 0
        return max(0, self.total - self.paid - self.credit_applied - self.reduced)


class InvoiceLine(Identified, Base):
    """``amount`` is net; ``tax_rate`` in percent. Tax is reckoned on sums: ``tax_amount`` is this line's
    share of its invoice's tax, by largest remainder."""

    __tablename__ = "invoice_line"
    __table_args__ = (UniqueConstraint("invoice_id", "position"),)

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoice.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)  # from 1
    external_id: Mapped[str | None]
    description: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    unit_amount: Mapped[int | None] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    tax_rate: Mapped[Decimal] = mapped_column(TAX_RATE, server_default=ZERO)
    tax_amount: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]


class Payment(Mirrored, InCurrency, Base):
    """``refunded``: the sum of its refunds that are neither failed nor canceled, pending ones included;
    ``lost``: of its disputes that were lost. ``overdrawn``: how far the provider let both exceed what was
    captured; only what is heard from the provider ever sets it, so that the check below binds us."""

    __tablename__ = "payment"
    __table_args__ = (
        *_columns("payment"),
        CheckConstraint("status in ('unknown', 'pending', 'failed', 'canceled', 'succeeded')", name="status"),
        CheckConstraint("refunded + lost <= captured + overdrawn", name="refundable"),
        CheckConstraint("refunded >= 0 and lost >= 0 and captured >= 0 and overdrawn >= 0", name="positive"),
        Index(None, "invoice_id"),
        Index(None, "account_id", "paid_at"),
        Index(
            "ix_payment_equal",
            "account_id",
            "currency",
            "captured",
            postgresql_where=text("status = 'succeeded'"),
        ),
        Index("uq_payment_charge", "provider", "charge_id", unique=True),
    )

    status: Mapped[str] = mapped_column(server_default="unknown")
    invoice_id: Mapped[UUID | None] = mapped_column(ForeignKey("invoice.id"))
    charge_id: Mapped[str | None]  # the provider's id of the charge, where its payment has one of its own
    amount: Mapped[int] = minor_units(required=False)
    captured: Mapped[int] = minor_units(required=False)
    refunded: Mapped[int] = minor_units(required=False)
    lost: Mapped[int] = minor_units(required=False)
    overdrawn: Mapped[int] = minor_units(required=False)
    method: Mapped[str | None]  # card, sepa_debit, bank_transfer
    failure_code: Mapped[str | None]
    description: Mapped[str | None] = mapped_column(Text)
    paid_at: Mapped[datetime | None]

    @property
    def refundable(self) -> int:
        """What may still be refunded, in minor units, while no dispute is open."""
        return max(0, self.captured - self.refunded - self.lost)


class Refund(Identified, Timestamped, InCurrency, Base):
    """Reserved here, or heard of from the provider. Its id is the provider's idempotency key.

    Pending with ``called_at`` null: reserved, no call made. Pending with ``external_id`` null after a call:
    nobody knows yet what the provider did; the same call is made again.
    """

    __tablename__ = "refund"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("status in ('pending', 'succeeded', 'canceled', 'failed')", name="status"),
        Index(None, "payment_id"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(
            "ix_refund_unsettled",
            "next_attempt_at",
            postgresql_where=text("status = 'pending' and external_id is null"),
        ),
    )

    provider: Mapped[str]
    external_id: Mapped[str | None]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payment.id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    status: Mapped[str] = mapped_column(server_default="pending")
    amount: Mapped[int] = minor_units()
    reason: Mapped[str | None]
    failure_reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    called_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    seen_at: Mapped[datetime | None]
    seen_rank: Mapped[int] = mapped_column(server_default=ZERO)
    seen_event: Mapped[str | None]


class Dispute(Mirrored, InCurrency, Base):
    """A charge that the cardholder's bank takes back, or asks about."""

    __tablename__ = "dispute"
    __table_args__ = (
        *_columns("dispute"),
        CheckConstraint("amount >= 0", name="amount"),
        Index(None, "payment_id"),
    )

    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payment.id"))
    status: Mapped[str]
    amount: Mapped[int] = minor_units()
    reason: Mapped[str | None]
    opened_at: Mapped[datetime | None]
    evidence_due_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class DisputeEvidence(Timestamped, Base):
    """What is sent to the bank, once. ``pack``: as it was assembled or corrected by hand.

    ``submitted_at``: when it was confirmed here; ``accepted_at``: when the provider had it.
    """

    __tablename__ = "dispute_evidence"

    dispute_id: Mapped[UUID] = mapped_column(ForeignKey("dispute.id", ondelete="CASCADE"), primary_key=True)
    pack: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    submitted_at: Mapped[datetime | None]
    submitted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    called_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    next_attempt_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class ProviderEvent(Identified, Base):
    """One message of a provider, by its id: what came of it. Its payload is not kept."""

    __tablename__ = "provider_event"
    __table_args__ = (UniqueConstraint("provider", "external_id"),)

    provider: Mapped[str]
    external_id: Mapped[str]
    type: Mapped[str]
    object_id: Mapped[str | None]
    outcome: Mapped[str]  # applied, ignored
    happened_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SandboxRefund(Identified, Base):
    """What the sandbox provider did, as a foreign system would remember it: one effect a key."""

    __tablename__ = "sandbox_refund"
    __table_args__ = (UniqueConstraint("idempotency_key"), Index(None, "payment"))

    idempotency_key: Mapped[str]
    payment: Mapped[str]  # the payment's external id
    amount: Mapped[int] = minor_units()
    currency: Mapped[str]
    status: Mapped[str]
    following: Mapped[str | None]  # the status that an event will tell
    repeats: Mapped[int] = mapped_column(server_default=text("1"))  # how often the event comes
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SandboxFault(Base):
    """A fault that the sandbox provider shows next, as often as ``remaining`` says."""

    __tablename__ = "sandbox_fault"

    id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    kind: Mapped[str]
    remaining: Mapped[int] = mapped_column(server_default=text("1"))
