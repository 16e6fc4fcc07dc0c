"""The table of the limits room."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base


class RateLimit(Base):
    """When a caller's bucket will be full again; a caller without a row has a full one."""

    __tablename__ = "rate_limit"
    __table_args__ = {"prefixes": ["UNLOGGED"], "postgresql_with": {"fillfactor": 50}}  # noqa: RUF012 - SQLAlchemy reads the plain dict

    principal_id: Mapped[UUID] = mapped_column(primary_key=True)
    full_at: Mapped[datetime]
