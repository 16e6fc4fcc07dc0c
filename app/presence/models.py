"""The table of the presence room. Unlogged: a crash of the server empties it, as it should."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base


class Presence(Base):
    """Somebody with a case open until ``expires_at``; ``viewer_id`` is a person's, or a key's without one."""

    __tablename__ = "presence"
    __table_args__ = (
        CheckConstraint("state in ('viewing', 'replying')", name="state"),
        Index(None, "expires_at"),
        Index(None, "viewer_id"),
        {"prefixes": ["unlogged"]},
    )

    subject_type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    viewer_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    state: Mapped[str]
    since: Mapped[datetime]
    expires_at: Mapped[datetime]
