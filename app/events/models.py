"""Tables of the events room."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified


class EventEpoch(Base):
    """What is added to Postgres' transaction numbers, so that they go on growing after a restore."""

    __tablename__ = "event_epoch"
    __table_args__ = (CheckConstraint("only_row", name="only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    shift: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class Event(Identified, Base):
    """One state change. Its place in the log is (``transaction``, ``number``)."""

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "transaction", "number"),
        Index("ix_event_subject", "subject_type", "subject_id", "transaction", "number"),
        Index("ix_event_audit", "transaction", "number", postgresql_where=text("audit")),
        Index(
            "ix_event_person_id",
            "person_id",
            "transaction",
            "number",
            postgresql_where=text("customer_visible"),
        ),
        Index(
            "ix_event_account_id",
            "account_id",
            "transaction",
            "number",
            postgresql_where=text("customer_visible"),
        ),
    )

    transaction: Mapped[int] = mapped_column(BigInteger, server_default=text("event_transaction()"))
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    type: Mapped[str] = mapped_column(Text)
    subject_type: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID]
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_person_id: Mapped[UUID | None]
    actor_key_id: Mapped[UUID | None]
    actor_role: Mapped[str] = mapped_column(Text)
    account_id: Mapped[UUID | None]
    person_id: Mapped[UUID | None]
    customer_visible: Mapped[bool] = mapped_column(server_default=text("false"))
    staff_fields: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    audit: Mapped[bool] = mapped_column(server_default=text("false"))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    request_id: Mapped[str | None] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
