"""Tables of the sla room; the migration says how they work together."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

Moments = ARRAY(TIMESTAMP(timezone=True))
UNFINISHED = text("state in ('running', 'paused')")


class SlaCalendar(Identified, Timestamped, Base):
    """A business calendar as it is now."""

    __tablename__ = "sla_calendar"
    __table_args__ = (UniqueConstraint("name"), Index(None, "created_at", "id"))

    name: Mapped[str] = mapped_column(Text)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    rules_version: Mapped[int] = mapped_column(server_default=text("1"))
    version: Mapped[int] = mapped_column(server_default=text("1"))


class SlaCalendarVersion(Base):
    """A calendar as it was when a clock counted by it; never changed, kept when the calendar is deleted."""

    __tablename__ = "sla_calendar_version"

    calendar_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SlaPolicy(Identified, Timestamped, Base):
    """Targets for the subjects that its conditions fit; the first by position wins."""

    __tablename__ = "sla_policy"
    __table_args__ = (
        UniqueConstraint("name"),
        Index(None, "created_at", "id"),
        Index(None, "position", "id"),
        Index(None, "calendar_id"),
    )

    name: Mapped[str] = mapped_column(Text)
    position: Mapped[int]
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    targets: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    warn_at_percent: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    calendar_id: Mapped[UUID] = mapped_column(ForeignKey("sla_calendar.id"))
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    version: Mapped[int] = mapped_column(server_default=text("1"))


class SlaSubject(Identified, Timestamped, Base):
    """A desk's case as policies see it. Whoever moves its clocks locks this row first."""

    __tablename__ = "sla_subject"
    __table_args__ = (UniqueConstraint("subject_type", "subject_id"), Index(None, "policy_id"))

    subject_type: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    policy_id: Mapped[UUID | None] = mapped_column(ForeignKey("sla_policy.id", ondelete="SET NULL"))
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    reopens: Mapped[int] = mapped_column(server_default=text("0"))


class SlaClock(Identified, Timestamped, Base):
    """One clock in one of its cycles.

    ``spans`` are the times it ran, as ``app.sla.engine`` counts them. What the sweep looks at is laid down
    beside them: ``due_at``, ``warn_times`` (one a step of ``warn_steps``), and ``check_at``, the first moment
    at which something is to be noticed; null: nothing any more, or not while it is paused.
    """

    __tablename__ = "sla_clock"
    __table_args__ = (
        UniqueConstraint("subject_type", "subject_id", "kind", "cycle"),
        CheckConstraint(
            "kind in ('first_response', 'next_reply', 'resolution', 'evidence')",
            name="kind",
        ),
        CheckConstraint("state in ('running', 'paused', 'met', 'canceled')", name="state"),
        CheckConstraint("(breached_at is null) = (detected_at is null)", name="breach"),
        CheckConstraint("state in ('running', 'paused') or check_at is null", name="finished"),
        Index("ix_sla_clock_check_at", "check_at", "id", postgresql_where=text("check_at is not null")),
        Index("ix_sla_clock_unfinished", "subject_type", "subject_id", postgresql_where=UNFINISHED),
        Index("ix_sla_clock_calendar_id", "calendar_id", postgresql_where=UNFINISHED),
    )

    subject_type: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    cycle: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    policy_id: Mapped[UUID | None]
    calendar_id: Mapped[UUID | None]
    calendar_version: Mapped[int | None]
    target_seconds: Mapped[int | None]
    spans: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    warn_steps: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default=text("'{}'"))
    warn_times: Mapped[list[datetime | None]] = mapped_column(Moments, server_default=text("'{}'"))
    warned_steps: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default=text("'{}'"))
    check_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]
    detected_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
