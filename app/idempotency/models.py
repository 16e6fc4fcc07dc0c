"""Tables of the idempotency room."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified


class IdempotencyRecord(Identified, Base):
    """What a request with a key was answered; without a status it is still being answered."""

    __tablename__ = "idempotency_record"
    __table_args__ = (
        UniqueConstraint("principal_id", "route", "key"),
        CheckConstraint("(status is null) = (reserved_until is not null)", name="reserved"),
        CheckConstraint("withheld in ('secret', 'erased')", name="withheld"),
        Index(None, "created_at"),
    )

    principal_id: Mapped[UUID]
    route: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[bytes]
    role: Mapped[str] = mapped_column(Text)
    account_id: Mapped[UUID | None]
    reserved_until: Mapped[datetime | None]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    body: Mapped[bytes | None]
    made_id: Mapped[str | None] = mapped_column(Text)
    withheld: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
