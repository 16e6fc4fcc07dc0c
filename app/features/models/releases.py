"""Releases, and what people are told: notices, their outbox, how each wants them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.features.models.boards import ONE, ZERO
from app.models import Base, Identified, Timestamped


class Release(Identified, Timestamped, Base):
    """An entry of a board's changelog; shipping it ships its requests, once."""

    __tablename__ = "feature_release"
    __table_args__ = (
        UniqueConstraint("number"),
        CheckConstraint("status in ('draft', 'shipped')", name="status"),
        CheckConstraint("(status = 'shipped') = (shipped_at is not null)", name="shipped"),
        Index(None, "board_id", "shipped_at", "id"),
        Index(None, "created_at", "id"),
    )

    number: Mapped[int] = mapped_column(Identity(always=False))
    board_id: Mapped[UUID] = mapped_column(ForeignKey("feature_board.id"))
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text, server_default="")
    body_html: Mapped[str] = mapped_column(Text, server_default="")
    label: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="draft")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    shipped_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    shipped_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=ONE)


class ReleaseRequest(Base):
    """A request that a release ships."""

    __tablename__ = "feature_release_request"
    __table_args__ = (Index(None, "request_id"),)

    release_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_release.id", ondelete="CASCADE"), primary_key=True
    )
    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_request.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(server_default=ZERO)


class ReplyDraft(Base):
    """A ticket or case that is linked to what a release shipped, and is to get a draft of a reply; once."""

    __tablename__ = "feature_reply_draft"
    __table_args__ = (
        CheckConstraint("state in ('queued', 'drafted', 'skipped')", name="state"),
        Index(
            "ix_feature_reply_draft_queued",
            "release_id",
            "subject_id",
            postgresql_where=text("state = 'queued'"),
        ),
    )

    release_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_release.id", ondelete="CASCADE"), primary_key=True
    )
    subject_type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(ForeignKey("feature_request.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="queued")
    reason: Mapped[str | None]


class Announcement(Identified, Base):
    """A change of status that is told when it has stood for a while: what flaps within it is one change, and
    none when it ends where it began."""

    __tablename__ = "feature_announcement"
    __table_args__ = (
        Index(
            "uq_feature_announcement_pending",
            "request_id",
            unique=True,
            postgresql_where=text("told_at is null"),
        ),
        Index("ix_feature_announcement_due", "due_at", postgresql_where=text("told_at is null")),
    )

    request_id: Mapped[UUID] = mapped_column(ForeignKey("feature_request.id", ondelete="CASCADE"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    due_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Notice(Identified, Base):
    """What one person is told, on the web and by mail: one a person and release, announcement or comment.

    ``mail_due_at``: null when it is not to be mailed, or was; ``mail_id``: the mail that it went out with.
    """

    __tablename__ = "feature_notice"
    __table_args__ = (
        UniqueConstraint("release_id", "person_id"),
        UniqueConstraint("announcement_id", "person_id"),
        UniqueConstraint("comment_id", "person_id"),
        CheckConstraint("kind in ('released', 'status', 'comment')", name="kind"),
        CheckConstraint("num_nonnulls(release_id, announcement_id, comment_id) = 1", name="about"),
        Index(None, "person_id", "created_at", "id"),
        Index(None, "request_id"),
        Index(
            "ix_feature_notice_due",
            "mail_due_at",
            "person_id",
            postgresql_where=text("mail_due_at is not null"),
        ),
    )

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    kind: Mapped[str]
    release_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_release.id", ondelete="CASCADE"))
    announcement_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_announcement.id", ondelete="CASCADE")
    )
    comment_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_comment.id", ondelete="CASCADE"))
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_request.id", ondelete="CASCADE"))
    read_at: Mapped[datetime | None]
    mail_due_at: Mapped[datetime | None]
    mailed_at: Mapped[datetime | None]
    mail_id: Mapped[UUID | None] = mapped_column(ForeignKey("outgoing_mail.id", ondelete="SET NULL"))
    version: Mapped[int] = mapped_column(server_default=ONE)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class NoticePreference(Timestamped, Base):
    """How a person wants their notices; without a row: by mail, at once."""

    __tablename__ = "feature_notice_preference"
    __table_args__ = (CheckConstraint("digest in ('immediate', 'daily', 'weekly')", name="digest"),)

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    email: Mapped[bool] = mapped_column(server_default=text("true"))
    digest: Mapped[str] = mapped_column(server_default="immediate")
    version: Mapped[int] = mapped_column(server_default=ONE)
