"""Teams and their members."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

EMPTY_ARRAY = text("'{}'")


class Team(Identified, Timestamped, Base):
    """People who share a queue; with ``round_robin`` a ticket without an assignee gets one by load.

    ``products``: tickets about them come here when nobody says otherwise.
    """

    __tablename__ = "team"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("assignment in ('manual', 'round_robin')", name="assignment"),
        Index(None, "created_at", "id"),
        Index("ix_team_products", "products", postgresql_using="gin"),
    )

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    assignment: Mapped[str] = mapped_column(server_default="manual")
    products: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    version: Mapped[int] = mapped_column(server_default=text("1"))


class TeamMember(Base):
    """Somebody of the staff in a team; ``capacity`` is how many unfinished tickets are enough."""

    __tablename__ = "team_member"
    __table_args__ = (
        CheckConstraint("capacity > 0", name="capacity"),
        Index(None, "person_id"),
    )

    team_id: Mapped[UUID] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    skills: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    capacity: Mapped[int | None]
    available: Mapped[bool] = mapped_column(server_default=text("true"))
    last_assigned_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
