"""The list that admins keep: what was changed in the configuration, in secrets, about people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, or_, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.models import Event
from app.events.service.reading import earlier_than, in_order, matching
from app.events.utils import Filters, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilters:
    """``actor``: a person or a key. ``since`` is included, ``until`` is not."""

    events: Filters
    actor: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    request_id: str | None = None


async def read_audit(
    session: AsyncSession, *, filters: AuditFilters, before: Place | None, limit: int
) -> Sequence[Event]:
    """Audited events, newest first, at most ``limit``.

    Also those whose place is not yet settled: who has just changed something wants to see it here, and
    nobody goes on from the newest.
    """
    conditions: list[ColumnElement[bool]] = [
        true() & Event.audit,
        *matching(filters.events),
        *_matching(filters),
    ]
    if before is not None:
        conditions.append(earlier_than(before))
    return (await session.scalars(in_order([true()], conditions, limit=limit, newest_first=True))).all()


def _matching(filters: AuditFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.actor is not None:
        conditions.append(or_(Event.actor_person_id == filters.actor, Event.actor_key_id == filters.actor))
    if filters.since is not None:
        conditions.append(Event.occurred_at >= filters.since)
    if filters.until is not None:
        conditions.append(Event.occurred_at < filters.until)
    if filters.request_id is not None:
        conditions.append(Event.request_id == filters.request_id)
    return conditions
