"""Known issues: what many tickets have in common, and what was told to all of them; ratings."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

EMPTY_ARRAY = text("'{}'")


class KnownIssue(Identified, Timestamped, Base):
    """A known issue (incident, problem); ``workaround`` is what customers may be told."""

    __tablename__ = "known_issue"
    __table_args__ = (
        UniqueConstraint("number"),
        CheckConstraint("status in ('investigating', 'identified', 'monitoring', 'resolved')", name="status"),
        CheckConstraint("severity in ('critical', 'major', 'minor', 'trivial')", name="severity"),
        Index(None, "created_at", "id"),
        Index("ix_known_issue_signatures", "signatures", postgresql_using="gin"),
    )

    number: Mapped[int] = mapped_column(Identity(always=False))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    title: Mapped[str]
    description: Mapped[str] = mapped_column(Text)
    workaround: Mapped[str] = mapped_column(Text, server_default="")
    status: Mapped[str] = mapped_column(server_default="investigating")
    severity: Mapped[str | None]
    product: Mapped[str | None]
    component: Mapped[str | None]
    product_version: Mapped[str | None]
    signatures: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    resolved_at: Mapped[datetime | None]


class IssueUpdate(Identified, Base):
    """What was told at once to every ticket that was linked to a known issue; ``solve``: and solved them."""

    __tablename__ = "issue_update"
    __table_args__ = (
        CheckConstraint("kind in ('public', 'note')", name="kind"),
        Index(None, "issue_id", "created_at", "id"),
    )

    issue_id: Mapped[UUID] = mapped_column(ForeignKey("known_issue.id"))
    author_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    body: Mapped[str] = mapped_column(Text)
    kind: Mapped[str]
    status: Mapped[str]
    solve: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class IssueDelivery(Base):
    """One ticket of an update: changed in the transaction that writes on the ticket, hence each once."""

    __tablename__ = "issue_delivery"
    __table_args__ = (
        CheckConstraint("state in ('queued', 'delivered', 'skipped')", name="state"),
        Index(None, "ticket_id"),
        Index(
            "ix_issue_delivery_queued",
            "update_id",
            "ticket_id",
            postgresql_where=text("state = 'queued'"),
        ),
    )

    update_id: Mapped[UUID] = mapped_column(
        ForeignKey("issue_update.id", ondelete="CASCADE"), primary_key=True
    )
    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str] = mapped_column(server_default="queued")
    reason: Mapped[str | None]


class Rating(Timestamped, Base):
    """How its requester found a ticket solved, as of the solve at ``solved_at``."""

    __tablename__ = "ticket_rating"
    __table_args__ = (
        CheckConstraint("score between 1 and 5", name="score"),
        Index(None, "person_id"),
    )

    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    score: Mapped[int] = mapped_column(SmallInteger)
    comment: Mapped[str | None] = mapped_column(Text)
    solved_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(server_default=text("1"))
