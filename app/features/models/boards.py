"""Boards, requests, and how they are merged.

Rows are locked in the order: board, root requests in the order of their ids, merged ones, then what hangs on
them. Whoever changes which request is merged into which holds ``service.groups.one_at_a_time`` before.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

EMPTY_ARRAY = EMPTY_OBJECT = text("'{}'")
FALSE = text("false")
ONE = text("1")
ZERO = text("0")


class Board(Identified, Timestamped, Base):
    """A board of requests. ``labels``: what its readers call a status; ``moderated``: what customers write
    waits for the staff's approval."""

    __tablename__ = "feature_board"
    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("visibility in ('public', 'customers', 'accounts', 'staff')", name="visibility"),
        Index(None, "position", "id"),
    )

    slug: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(Text, server_default="")
    visibility: Mapped[str] = mapped_column(server_default="customers")
    moderated: Mapped[bool] = mapped_column(server_default=FALSE)
    labels: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    position: Mapped[int] = mapped_column(server_default=ZERO)
    archived_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=ONE)


class BoardAccount(Base):
    """An account whose customers see a board of visibility ``accounts``."""

    __tablename__ = "feature_board_account"
    __table_args__ = (Index(None, "account_id"),)

    board_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_board.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)


class Request(Identified, Timestamped, Base):
    """A feature request. With ``merged_into_id`` it is one of the group of that request, its root: one level.

    ``votes``: distinct voters of the whole group, kept in the transactions that change them, with the root's
    row locked; of a merged request it means nothing. Votes move neither ``version`` nor ``updated_at``.
    """

    __tablename__ = "feature_request"
    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("board_id", "external_id"),
        CheckConstraint(
            "status in ('open', 'under_review', 'planned', 'in_progress', 'shipped', 'declined')",
            name="status",
        ),
        CheckConstraint("origin in ('api', 'import', 'split')", name="origin"),
        CheckConstraint("merged_into_id <> id", name="merged"),
        CheckConstraint("votes >= 0", name="votes"),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "votes", "id"),
        Index(None, "board_id", "status", "votes", "id"),
        Index(None, "author_id"),
        Index(None, "merged_into_id"),
        Index("ix_feature_request_root", text("coalesce(merged_into_id, id)")),
        Index(None, "split_from_id"),
        Index(None, "answer_id"),
        Index("ix_feature_request_tags", "tags", postgresql_using="gin"),
    )

    number: Mapped[int] = mapped_column(Identity(always=False))
    version: Mapped[int] = mapped_column(server_default=ONE)
    board_id: Mapped[UUID] = mapped_column(ForeignKey("feature_board.id"))
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text, server_default="")
    body_html: Mapped[str] = mapped_column(Text, server_default="")
    status: Mapped[str] = mapped_column(server_default="open")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    origin: Mapped[str] = mapped_column(server_default="api")
    external_id: Mapped[str | None]
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    votes: Mapped[int] = mapped_column(server_default=ZERO)
    planned_for: Mapped[date | None]
    approved_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    locked_at: Mapped[datetime | None]
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_request.id"))
    merged_at: Mapped[datetime | None]
    split_from_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_request.id", ondelete="SET NULL"))
    answer_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("feature_comment.id", ondelete="SET NULL", use_alter=True)
    )
    status_changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    shipped_at: Mapped[datetime | None]


class Merge(Identified, Base):
    """One merge. Those that stand are the edges of a forest; ``merged_into_id`` names the roots."""

    __tablename__ = "feature_merge"
    __table_args__ = (
        CheckConstraint("source_id <> target_id", name="ends"),
        Index(
            "uq_feature_merge_standing",
            "source_id",
            unique=True,
            postgresql_where=text("undone_at is null"),
        ),
        Index(None, "source_id", "created_at"),
        Index("ix_feature_merge_target", "target_id", postgresql_where=text("undone_at is null")),
    )

    source_id: Mapped[UUID] = mapped_column(ForeignKey("feature_request.id"))
    target_id: Mapped[UUID] = mapped_column(ForeignKey("feature_request.id"))
    merged_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    undone_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    undone_at: Mapped[datetime | None]
