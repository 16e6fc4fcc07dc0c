"""Roadmaps: what is planned and in progress, soonest first, and what shipped, latest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import FeatureStatus
from app.features.models import Request
from app.features.service.requests import listed
from app.identity.principal import Principal

SOONEST: tuple[Any, ...] = (Request.planned_for.asc().nulls_last(), Request.votes.desc())
COLUMNS: tuple[tuple[FeatureStatus, tuple[Any, ...]], ...] = (
    (FeatureStatus.planned, SOONEST),
    (FeatureStatus.in_progress, SOONEST),
    (FeatureStatus.shipped, (Request.shipped_at.desc(),)),
)


@dataclass(frozen=True, slots=True)
class Column:
    """Requests of one status, as many as were asked for, and how many there are."""

    status: FeatureStatus
    requests: Sequence[Request]
    total: int


async def columns(
    session: AsyncSession, *, principal: Principal | None, boards: Sequence[UUID] | None, limit: int
) -> list[Column]:
    """The roadmap of boards, or of all that the caller sees."""
    found = []
    for status, order in COLUMNS:
        wanted = listed(principal=principal, boards=boards, statuses=[status])
        rows = (await session.scalars(wanted.order_by(*order, Request.id).limit(limit))).all()
        counting = select(func.count()).select_from(wanted.with_only_columns(Request.id).subquery())
        found.append(Column(status, rows, await session.scalar(counting) or 0))
    return found
