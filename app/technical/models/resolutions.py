"""What a solved ticket taught: its problem and solution, as they stand in the index."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Timestamped


class Resolution(Timestamped, Base):
    """A ticket's resolution note, without what names anybody.

    ``state``: ``published`` is in the index; ``suspended`` left it when its ticket was merged, and comes back
    when that is undone; ``withdrawn`` left it for good. ``document_id``: what the index has of it; one that
    is missing though ``published``, or there though not, waits for the index to be within reach.
    """

    __tablename__ = "ticket_resolution"
    __table_args__ = (
        CheckConstraint("state in ('published', 'suspended', 'withdrawn')", name="state"),
        Index(
            "ix_ticket_resolution_pending",
            "ticket_id",
            postgresql_where=text("(state = 'published') = (document_id is null)"),
        ),
    )

    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    state: Mapped[str] = mapped_column(server_default="published")
    title: Mapped[str]
    problem: Mapped[str] = mapped_column(Text)
    solution: Mapped[str] = mapped_column(Text)
    audience: Mapped[str] = mapped_column(server_default="staff")
    document_id: Mapped[UUID | None]
    reviewed_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    reviewed_at: Mapped[datetime | None]
