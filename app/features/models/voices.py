"""What people do with requests: votes, subscriptions, comments, quotes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    Uuid,
    column,
    table,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.features.models.boards import FALSE, ONE
from app.models import Base, Identified, Timestamped

# A view: each voter of a merge group once, with the date of their earliest vote in it.
VOTERS = table(
    "feature_voter",
    column("root_id", Uuid),
    column("person_id", Uuid),
    column("voted_at", DateTime(timezone=True)),
)


class Vote(Base):
    """A person's vote. ``added_by``: the member of the staff who gave it on their behalf; ``source_*``: the
    ticket or case in which they asked for it."""

    __tablename__ = "feature_vote"
    __table_args__ = (
        CheckConstraint("(source_type is null) = (source_id is null)", name="source"),
        Index(None, "person_id"),
        Index(None, "created_at"),
    )

    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_request.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    added_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    source_type: Mapped[str | None]
    source_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Subscription(Timestamped, Base):
    """What a person wants to hear of a request: changes of its status, comments. Both false: nothing, said by
    the person, so that nothing subscribes them again but themselves. ``by_vote``: it came with a vote, and
    goes with it."""

    __tablename__ = "feature_subscription"
    __table_args__ = (Index(None, "person_id"),)

    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_request.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[bool] = mapped_column(server_default=text("true"))
    comments: Mapped[bool] = mapped_column(server_default=FALSE)
    by_vote: Mapped[bool] = mapped_column(server_default=FALSE)


class Comment(Identified, Base):
    """A comment, or with ``parent_id`` an answer to one: threads have one level. ``official``: the staff's
    answer to the request. An erased one keeps its place without words."""

    __tablename__ = "feature_comment"
    __table_args__ = (
        CheckConstraint("kind in ('public', 'note')", name="kind"),
        CheckConstraint("not official or kind = 'public'", name="official"),
        Index(None, "request_id", "created_at", "id"),
        Index(None, "parent_id"),
        Index(None, "author_id"),
    )

    request_id: Mapped[UUID] = mapped_column(ForeignKey("feature_request.id", ondelete="CASCADE"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_comment.id", ondelete="CASCADE"))
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    by_staff: Mapped[bool] = mapped_column(server_default=FALSE)
    kind: Mapped[str] = mapped_column(server_default="public")
    official: Mapped[bool] = mapped_column(server_default=FALSE)
    body: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    approved_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    edited_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=ONE)
    created_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class Quote(Identified, Base):
    """A sentence that a customer said in a ticket or case: ``start`` to ``stop`` in code points of the
    message's plain text. The words stay with the message: when it is redacted or erased the quote is gone,
    which ``digest``, SHA-256 of the sentence, shows."""

    __tablename__ = "feature_quote"
    __table_args__ = (
        UniqueConstraint("request_id", "message_id", "start"),
        CheckConstraint("0 <= start and start < stop", name="span"),
        Index(None, "message_id"),
    )

    request_id: Mapped[UUID] = mapped_column(ForeignKey("feature_request.id", ondelete="CASCADE"))
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    start: Mapped[int]
    stop: Mapped[int]
    digest: Mapped[bytes]
    added_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
