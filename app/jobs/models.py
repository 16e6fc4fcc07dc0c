"""Rows of the jobs room; the queue's own tables are pgqueuer's."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base


class JobSchedule(Base):
    """When a schedule last ran, in whichever process. Started and not finished: under way, or cut off."""

    __tablename__ = "job_schedule"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))  # in a row
    error: Mapped[str | None] = mapped_column(Text)  # of the last run, if it failed
