"""Known issues: what many tickets have in common."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
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
