"""Tables of the conversations room.

Rows are locked in the order: the desk's own, person, conversation, message, attachment.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

CLOCK = text("clock_timestamp()")
BODY_SEARCH = "to_tsvector('simple', \"left\"(body_text, 200000))"
FILE_SEARCH = "to_tsvector('simple', \"left\"(name || ' ' || coalesce(text, ''), 200000))"


class Conversation(Identified, Timestamped, Base):
    """What is said about one subject of a desk, with the times that its clocks ask for.

    ``last_customer_message_at`` and ``unanswered_since`` (the oldest message that no reply has followed) are
    of the customer's public messages; ``first_reply_at`` and ``last_staff_reply_at`` of public ones by a
    person of the staff. Automatic messages count for none of them.
    """

    __tablename__ = "conversation"
    __table_args__ = (
        UniqueConstraint("subject_type", "subject_id"),
        Index(None, "account_id"),
        Index(None, "requester_id"),
    )

    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    requester_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    last_number: Mapped[int] = mapped_column(server_default=text("0"))
    last_message_at: Mapped[datetime | None]
    last_customer_message_at: Mapped[datetime | None]
    last_staff_reply_at: Mapped[datetime | None]
    first_reply_at: Mapped[datetime | None]
    unanswered_since: Mapped[datetime | None]


class Message(Identified, Base):
    """One message. Its ``number`` is the conversation's own and never given twice."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("conversation_id", "number"),
        UniqueConstraint("email_message_id"),
        CheckConstraint("kind in ('public', 'note', 'system')", name="kind"),
        CheckConstraint("speaker in ('customer', 'staff', 'machine')", name="speaker"),
        Index(None, "conversation_id", "created_at", "id"),
        Index(None, "author_person_id"),
        Index(None, "in_reply_to"),
        Index("ix_message_search", "search", postgresql_using="gin"),
    )

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"))
    number: Mapped[int]
    kind: Mapped[str]
    speaker: Mapped[str]
    channel: Mapped[str]
    automatic: Mapped[bool] = mapped_column(server_default=text("false"))
    author_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    author_key_id: Mapped[UUID | None]
    author_role: Mapped[str]
    author_email: Mapped[str | None]
    body_format: Mapped[str]
    body_raw: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    body_text: Mapped[str] = mapped_column(Text)
    in_reply_to: Mapped[UUID | None] = mapped_column(ForeignKey("message.id", ondelete="SET NULL"))
    email_message_id: Mapped[str | None]
    origin_conversation_id: Mapped[UUID | None]
    origin_number: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    edited_at: Mapped[datetime | None]
    redacted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    search: Mapped[Any] = mapped_column(
        TSVECTOR, Computed(BODY_SEARCH, persisted=True), nullable=True, deferred=True
    )


class Participant(Identified, Base):
    """A person, or an e-mail address that no person has, in a conversation."""

    __tablename__ = "participant"
    __table_args__ = (
        UniqueConstraint("conversation_id", "role", "person_id"),
        UniqueConstraint("conversation_id", "role", "email"),
        CheckConstraint("num_nonnulls(person_id, email) = 1", name="one_address"),
        CheckConstraint("role in ('requester', 'assignee', 'watcher', 'cc')", name="role"),
        Index(None, "person_id"),
        Index(None, "email"),
    )

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"))
    role: Mapped[str]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    email: Mapped[str | None]
    added_by: Mapped[UUID | None]
    unsubscribed: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


class Attachment(Identified, Base):
    """A file: its uploader's until it is sent, then its message's."""

    __tablename__ = "attachment"
    __table_args__ = (
        CheckConstraint("text_status in ('queued', 'ready', 'none', 'failed')", name="text_status"),
        CheckConstraint("message_id is null or conversation_id is not null", name="sent"),
        Index(None, "message_id"),
        Index(None, "conversation_id"),
        Index(None, "uploader_person_id"),
        Index("ix_attachment_unsent", "created_at", postgresql_where=text("message_id is null")),
        Index("ix_attachment_search", "search", postgresql_using="gin"),
    )

    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    uploader_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    uploader_key_id: Mapped[UUID | None]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str]
    content: Mapped[bytes] = mapped_column(deferred=True)
    content_id: Mapped[str | None]
    text: Mapped[str | None] = mapped_column(Text, deferred=True)
    text_status: Mapped[str] = mapped_column(server_default="none")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    search: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(FILE_SEARCH, persisted=True),
        nullable=True,
        deferred=True,
    )
