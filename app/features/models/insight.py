"""What the staff learn: likely duplicates, and the rates that demand is converted with."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.features.models.boards import EMPTY_ARRAY, ONE
from app.models import Base, Identified


class Cluster(Identified, Base):
    """Requests that are likely one, as the nightly look found them. ``target_id``: what they were merged
    into; ``merged_ids``: those that this did, which an undo takes back."""

    __tablename__ = "feature_cluster"
    __table_args__ = (
        CheckConstraint("status in ('open', 'merged', 'dismissed')", name="status"),
        Index(None, "status", "created_at", "id"),
        Index(None, "target_id"),
    )

    status: Mapped[str] = mapped_column(server_default="open")
    target_id: Mapped[UUID | None] = mapped_column(ForeignKey("feature_request.id", ondelete="SET NULL"))
    merged_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID), server_default=EMPTY_ARRAY)
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    decided_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=ONE)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ClusterMember(Base):
    """A request of a cluster; ``probability``: of its likeliest pair in it, 0 to 1."""

    __tablename__ = "feature_cluster_member"
    __table_args__ = (
        CheckConstraint("probability between 0 and 1", name="probability"),
        Index(None, "request_id"),
    )

    cluster_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_cluster.id", ondelete="CASCADE"), primary_key=True
    )
    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_request.id", ondelete="CASCADE"), primary_key=True
    )
    probability: Mapped[float]


class Rate(Identified, Base):
    """What one unit of ``currency`` is worth in ``target`` from a moment on, as an admin said."""

    __tablename__ = "exchange_rate"
    __table_args__ = (
        UniqueConstraint("currency", "target", "valid_from"),
        CheckConstraint("rate > 0", name="rate"),
        CheckConstraint("currency <> target", name="currencies"),
    )

    currency: Mapped[str]
    target: Mapped[str]
    rate: Mapped[Decimal] = mapped_column(Numeric(20, 10))
    valid_from: Mapped[datetime]
    given_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
