"""Billing cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

SEARCH = "to_tsvector('simple', subject || ' ' || \"left\"(description, 200000))"


class Case(Identified, Timestamped, Base):
    """A billing case. Its conversation, clocks and participants are kept in their own rooms, by its id.

    ``waiting_since`` is the conversation's oldest unanswered message: not part of what ``version`` counts,
    nor is ``updated_at``, which messages move too. ``issue_id``: the known issue of another desk behind it.
    """

    __tablename__ = "billing_case"
    __table_args__ = (
        UniqueConstraint("number"),
        CheckConstraint(
            "kind in ('refund_request', 'duplicate_charge', 'dispute', 'invoice_question', 'credit_request',"
            " 'plan_change', 'cancellation')",
            name="kind",
        ),
        CheckConstraint(
            "status in ('new', 'open', 'awaiting_customer', 'awaiting_approval', 'awaiting_provider',"
            " 'resolved', 'closed')",
            name="status",
        ),
        CheckConstraint("priority in ('low', 'normal', 'high', 'urgent')", name="priority"),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "requester_id", "created_at", "id"),
        Index(None, "assignee_id", "status", "created_at", "id"),
        Index(None, "invoice_id"),
        Index(None, "payment_id"),
        Index(None, "issue_id"),
        Index(None, "follows_id"),
        Index(
            "uq_billing_case_dispute_id",
            "dispute_id",
            unique=True,
            postgresql_where=text("source = 'dispute'"),
        ),
        Index("ix_billing_case_resolved", "resolved_at", postgresql_where=text("status = 'resolved'")),
        Index(
            "ix_billing_case_waiting",
            "waiting_since",
            "id",
            postgresql_where=text("waiting_since is not null"),
        ),
        Index("ix_billing_case_tags", "tags", postgresql_using="gin"),
        Index("ix_billing_case_search", "search", postgresql_using="gin"),
    )

    number: Mapped[int] = mapped_column(Identity(always=False))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="new")
    priority: Mapped[str] = mapped_column(server_default="normal")
    subject: Mapped[str]
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    source: Mapped[str]
    requester_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    assignee_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    subscription_id: Mapped[UUID | None] = mapped_column(ForeignKey("subscription.id"))
    invoice_id: Mapped[UUID | None] = mapped_column(ForeignKey("invoice.id"))
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payment.id"))
    dispute_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispute.id"))
    issue_id: Mapped[UUID | None]
    follows_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_case.id"))
    resolved_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    reopens: Mapped[int] = mapped_column(server_default=text("0"))
    status_changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    first_resolved_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    search: Mapped[Any] = mapped_column(
        TSVECTOR, Computed(SEARCH, persisted=True), nullable=True, deferred=True
    )


class CaseReference(Base):
    """A case points to another desk's thing, which this desk knows by its type and id only."""

    __tablename__ = "billing_case_reference"
    __table_args__ = (Index(None, "subject_type", "subject_id"),)

    case_id: Mapped[UUID] = mapped_column(ForeignKey("billing_case.id", ondelete="CASCADE"), primary_key=True)
    subject_type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
