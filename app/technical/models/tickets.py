"""Tickets, their links, and what a merge needs to be undone."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

SEARCH = "to_tsvector('simple', subject || ' ' || \"left\"(description, 200000))"
EMPTY_ARRAY = EMPTY_OBJECT = text("'{}'")


class Ticket(Identified, Timestamped, Base):
    """A technical case. Its conversation, clocks and participants are kept in their own rooms, by its id.

    ``description`` is the problem as the staff understand it, at first the requester's words, which also
    stand in the conversation as its first message. ``waiting_since`` is the conversation's oldest unanswered
    message: not part of what ``version`` counts, nor is ``updated_at``, which messages move too.
    """

    __tablename__ = "ticket"
    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("origin", "external_id"),
        CheckConstraint(
            "status in ('new', 'open', 'pending', 'on_hold', 'solved', 'closed', 'merged')", name="status"
        ),
        CheckConstraint("priority in ('low', 'normal', 'high', 'urgent')", name="priority"),
        CheckConstraint("severity in ('critical', 'major', 'minor', 'trivial')", name="severity"),
        CheckConstraint("(status = 'merged') = (merged_into_id is not null)", name="merged"),
        CheckConstraint("merged_into_id <> id", name="not_itself"),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "requester_id", "created_at", "id"),
        Index(None, "assignee_id", "status", "created_at", "id"),
        Index(None, "team_id", "status", "created_at", "id"),
        Index(None, "issue_id"),
        Index(None, "merged_into_id"),
        Index("ix_ticket_solved", "solved_at", postgresql_where=text("status = 'solved'")),
        Index("ix_ticket_waiting", "waiting_since", "id", postgresql_where=text("waiting_since is not null")),
        Index("ix_ticket_tags", "tags", postgresql_using="gin"),
        Index("ix_ticket_signatures", "signatures", postgresql_using="gin"),
        Index(
            "ix_ticket_custom",
            "custom",
            postgresql_using="gin",
            postgresql_ops={"custom": "jsonb_path_ops"},
        ),
        Index("ix_ticket_search", "search", postgresql_using="gin"),
    )

    number: Mapped[int] = mapped_column(Identity(always=False))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    subject: Mapped[str]
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(server_default="new")
    priority: Mapped[str] = mapped_column(server_default="normal")
    severity: Mapped[str | None]
    product: Mapped[str | None]
    component: Mapped[str | None]
    product_version: Mapped[str | None]
    environment: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    custom: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    signatures: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    source: Mapped[str]
    requester_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    assignee_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("team.id"))
    issue_id: Mapped[UUID | None] = mapped_column(ForeignKey("known_issue.id"))
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("ticket.id"))
    solved_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    reopens: Mapped[int] = mapped_column(server_default=text("0"))
    status_changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    first_solved_at: Mapped[datetime | None]
    solved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    origin: Mapped[str | None]  # the system that it was imported from, and its id there
    external_id: Mapped[str | None]
    search: Mapped[Any] = mapped_column(
        TSVECTOR, Computed(SEARCH, persisted=True), nullable=True, deferred=True
    )


class TicketLink(Base):
    """``other_id`` is the related ticket, the parent, what this duplicates, or what this follows up."""

    __tablename__ = "ticket_link"
    __table_args__ = (
        CheckConstraint("kind in ('related', 'parent', 'duplicate', 'follow_up')", name="kind"),
        CheckConstraint("ticket_id <> other_id", name="not_itself"),
        Index(None, "other_id"),
    )

    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    other_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Merge(Identified, Base):
    """One merge that holds or was undone; ``record`` is what undoing it restores."""

    __tablename__ = "ticket_merge"
    __table_args__ = (
        CheckConstraint("source_id <> target_id", name="not_itself"),
        Index(
            "uq_ticket_merge_source_id",
            "source_id",
            unique=True,
            postgresql_where=text("undone_at is null"),
        ),
        Index(None, "target_id"),
    )

    source_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"))
    target_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"))
    record: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    undone_at: Mapped[datetime | None]
