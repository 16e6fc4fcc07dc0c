"""What the desk itself does with money: policies, refund requests, credit notes, credits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.billing.models.base import ZERO, InCurrency, Mirrored, minor_units
from app.billing.models.mirror import TAX_RATE
from app.models import Base, Identified, Timestamped


class RefundPolicy(Base):
    """One version of who may approve what; never changed, the newest is in force.

    ``limits``: [{role, currency (null: any), per_request, per_day (null: no limit)}], minor units.
    ``goodwill``: [{currency, per_grant: {role: amount}, per_quarter}], minor units.
    """

    __tablename__ = "refund_policy"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    limits: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    goodwill: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    approval_hours: Mapped[int]  # an approval that was not executed by then has expired
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class RefundRequest(Identified, Timestamped, InCurrency, Base):
    """Money that somebody wants to go back, and what became of it.

    ``requested_by``, ``decided_by``: the person's id, or of a credential without a person ``key:<id>``.
    """

    __tablename__ = "refund_request"
    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("refund_id"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint(
            "status in ('requested', 'approved', 'rejected', 'canceled', 'expired', 'executing', 'refunded',"
            " 'failed')",
            name="status",
        ),
        CheckConstraint(
            "requested_by <> decided_by or status in ('rejected', 'canceled')", name="two_people"
        ),
        Index(None, "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "payment_id"),
        Index(None, "case_id"),
        Index(None, "credit_note_id"),
        Index(None, "issue_id"),
        Index(None, "decided_by", "currency", "decided_at"),
        Index("ix_refund_request_expiring", "expires_at", postgresql_where=text("status = 'approved'")),
    )

    number: Mapped[int] = mapped_column(Identity(always=False))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payment.id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_case.id"))
    credit_note_id: Mapped[UUID | None] = mapped_column(ForeignKey("credit_note.id"))
    issue_id: Mapped[UUID | None]
    amount: Mapped[int] = minor_units()
    reason: Mapped[str]
    note: Mapped[str] = mapped_column(Text, server_default="")
    status: Mapped[str] = mapped_column(server_default="requested")
    policy_version: Mapped[int | None] = mapped_column(ForeignKey("refund_policy.version"))
    requested_by: Mapped[str]
    requested_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    decided_by: Mapped[str | None]
    decided_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    decided_role: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str] = mapped_column(Text, server_default="")
    expires_at: Mapped[datetime | None]
    refund_id: Mapped[UUID | None] = mapped_column(ForeignKey("refund.id"))
    executed_at: Mapped[datetime | None]
    failure_reason: Mapped[str | None]


class CreditNote(Mirrored, InCurrency, Base):
    """Corrects an invoice. ``total`` = ``reduces`` (of what was owed) + ``refund_amount`` + ``credit_amount``
    + ``out_of_band_amount``. Issued here (``provider`` is ``tridesk``) or heard of."""

    __tablename__ = "credit_note"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        CheckConstraint("status in ('issued', 'void')", name="status"),
        CheckConstraint("total = subtotal + tax and total > 0", name="total"),
        CheckConstraint(
            "total = reduces + refund_amount + credit_amount + out_of_band_amount", name="allocation"
        ),
        CheckConstraint(
            "reduces >= 0 and refund_amount >= 0 and credit_amount >= 0 and out_of_band_amount >= 0",
            name="positive",
        ),
        Index(None, "created_at", "id"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "customer_id"),
        Index(None, "invoice_id"),
        Index(None, "case_id"),
        Index(None, "issue_id"),
    )

    number: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="issued")
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoice.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_case.id"))
    issue_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    note: Mapped[str] = mapped_column(Text, server_default="")
    subtotal: Mapped[int] = minor_units()
    tax: Mapped[int] = minor_units()
    total: Mapped[int] = minor_units()
    reduces: Mapped[int] = minor_units(required=False)
    refund_amount: Mapped[int] = minor_units(required=False)
    credit_amount: Mapped[int] = minor_units(required=False)
    out_of_band_amount: Mapped[int] = minor_units(required=False)
    issued_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    issued_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    voided_at: Mapped[datetime | None]


class CreditNoteLine(Identified, Base):
    """``amount`` is net, of one line of the invoice."""

    __tablename__ = "credit_note_line"
    __table_args__ = (UniqueConstraint("credit_note_id", "position"), Index(None, "invoice_line_id"))

    credit_note_id: Mapped[UUID] = mapped_column(ForeignKey("credit_note.id", ondelete="CASCADE"))
    position: Mapped[int]
    invoice_line_id: Mapped[UUID | None] = mapped_column(ForeignKey("invoice_line.id"))
    description: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    tax_rate: Mapped[Decimal] = mapped_column(TAX_RATE, server_default=ZERO)
    tax_amount: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)


class CreditGrant(Identified, Timestamped, InCurrency, Base):
    """Credit that an account was given, for its next invoices."""

    __tablename__ = "credit_grant"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint(
            "kind in ('goodwill', 'service', 'referral', 'overpayment', 'adjustment')", name="kind"
        ),
        Index(None, "account_id", "kind", "granted_at"),
        Index(None, "created_at", "id"),
        Index(None, "case_id"),
        Index(None, "issue_id"),
    )

    version: Mapped[int] = mapped_column(server_default=text("1"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_case.id"))
    issue_id: Mapped[UUID | None]
    kind: Mapped[str]
    amount: Mapped[int] = minor_units()
    reason: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[int | None] = mapped_column(ForeignKey("refund_policy.version"))
    granted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    granted_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    voided_at: Mapped[datetime | None]
