"""Tables of the mail room."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, deferred, mapped_column

from app.models import Base, Identified

SUBJECT_CHECK = "(subject_type is null) = (subject_id is null)"


class InboundMail(Identified, Base):
    """A mail that came in, as it came, with what became of it. ``raw`` is loaded only when asked for."""

    __tablename__ = "inbound_mail"
    __table_args__ = (
        UniqueConstraint("fingerprint"),
        CheckConstraint("status in ('received', 'processed', 'failed')", name="status"),
        CheckConstraint(
            "verdict in ('accepted', 'ignored_auto', 'bounce', 'loop', 'no_desk', 'rejected_unreadable')",
            name="verdict",
        ),
        CheckConstraint(SUBJECT_CHECK, name="subject"),
        Index(None, "created_at", "id"),
        Index(None, "message_id"),
        Index(None, "sender", "created_at"),
        Index(None, "person_id"),
        Index(None, "subject_type", "subject_id"),
    )

    fingerprint: Mapped[bytes]
    message_id: Mapped[str]
    sender: Mapped[str | None]
    title: Mapped[str | None]
    raw: Mapped[bytes | None] = deferred(mapped_column())
    size: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=text("'received'"))
    verdict: Mapped[str | None]
    reason: Mapped[str | None]
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    desk: Mapped[str | None]
    subject_type: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    processed_at: Mapped[datetime | None]


class OutgoingMail(Identified, Base):
    """A mail of ours. ``attempts`` also tells which job may make the next one; see ``delivery``.

    ``next_attempt_at``: when the sweep sees to it, if nobody has sent it by then.
    """

    __tablename__ = "outgoing_mail"
    __table_args__ = (
        UniqueConstraint("message_id"),
        CheckConstraint(
            "status in ('queued', 'sent', 'failed', 'suppressed', 'bounced', 'erased')", name="status"
        ),
        CheckConstraint(SUBJECT_CHECK, name="subject"),
        Index(None, "created_at", "id"),
        Index(None, "next_attempt_at", postgresql_where=text("status = 'queued'")),
        Index(None, "recipient"),
        Index(None, "person_id"),
        Index(None, "subject_type", "subject_id"),
    )

    message_id: Mapped[str]
    template: Mapped[str]
    recipient: Mapped[str | None]
    title: Mapped[str | None]
    raw: Mapped[bytes | None] = deferred(mapped_column())
    automatic: Mapped[bool] = mapped_column(server_default=text("true"))
    scope: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=text("'queued'"))
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    subject_type: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]


class MailSuppression(Identified, Base):
    """An address that gets no mail of a scope; ``*``: none at all."""

    __tablename__ = "mail_suppression"
    __table_args__ = (
        UniqueConstraint("address", "scope"),
        CheckConstraint("reason in ('hard_bounce', 'complaint', 'unsubscribed', 'manual')", name="reason"),
        Index(None, "created_at", "id"),
    )

    address: Mapped[str]
    scope: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
