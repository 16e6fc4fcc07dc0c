"""What of another desk a ticket points to."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified


class Reference(Identified, Base):
    """A ticket points to another desk's thing, which this desk knows by its type and id only."""

    __tablename__ = "ticket_reference"
    __table_args__ = (
        UniqueConstraint("ticket_id", "subject_type", "subject_id"),
        Index(None, "subject_type", "subject_id"),
    )

    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id", ondelete="CASCADE"))
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
