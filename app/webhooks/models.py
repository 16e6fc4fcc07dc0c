"""Tables of the webhooks room; the migration says how they work together."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped


class WebhookEndpoint(Identified, Timestamped, Base):
    """Where events are sent, and how far it has been served.

    The secrets are as given out: whoever signs needs them whole. Those before the current one are newest
    first, each with its end at the same place of the other list.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint(
            "disabled_reason in ('admin', 'gone', 'failing') and enabled = (disabled_reason is null)",
            name="disabled_reason",
        ),
        CheckConstraint(
            "cardinality(previous_secrets) = cardinality(previous_secrets_until)", name="previous_secrets"
        ),
        Index(None, "created_at", "id"),
    )

    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, server_default="")
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failing_since: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    secret: Mapped[str] = mapped_column(Text)
    previous_secrets: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    previous_secrets_until: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), server_default=text("'{}'")
    )
    cursor_transaction: Mapped[int] = mapped_column(BigInteger)
    cursor_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_by: Mapped[UUID | None]


class WebhookDelivery(Identified, Base):
    """One event for one endpoint, and how its last attempt went.

    ``failures`` in a row decide when it is tried again; ``attempts`` counts all there ever were.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("status in ('pending', 'failing', 'delivered', 'failed')", name="status"),
        Index(None, "endpoint_id", "created_at", "id"),
        Index(
            "ix_webhook_delivery_undelivered",
            "endpoint_id",
            "subject_type",
            "subject_id",
            "transaction",
            "number",
            postgresql_where=text("status in ('pending', 'failing')"),
        ),
    )

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id", ondelete="CASCADE"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("event.id"))
    transaction: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(Text)
    subject_type: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    attempted_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    response_status: Mapped[int | None]
    response_body: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WebhookQueue(Identified, Base):
    """Whose turn it is: the oldest undelivered message of a subject; a redelivery or test has none."""

    __tablename__ = "webhook_queue"
    __table_args__ = (
        UniqueConstraint("delivery_id"),
        UniqueConstraint("endpoint_id", "subject_type", "subject_id"),
        CheckConstraint("(subject_type is null) = (subject_id is null)", name="subject"),
        Index(None, "endpoint_id", "due_at"),
        Index("ix_webhook_queue_lease", "lease", postgresql_where=text("lease is not null")),
    )

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id", ondelete="CASCADE"))
    subject_type: Mapped[str | None] = mapped_column(Text)
    subject_id: Mapped[UUID | None]
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_delivery.id", ondelete="CASCADE"))
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease: Mapped[UUID | None]
