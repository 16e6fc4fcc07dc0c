"""The table of the privacy room."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped


class Erasure(Identified, Timestamped, Base):
    """The receipt of an erasure: ``counts`` is room to kind of row to how many; nothing of what they held."""

    __tablename__ = "erasure"
    __table_args__ = (UniqueConstraint("person_id"),)

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB)
