"""Telling people: one statement finds who is to hear of something and gives each one notice.

Whoever is told is locked against being erased meanwhile; who was erased while this waited is left out. What
one has been told is told once, however often and from wherever it is told again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, Uuid, case, func, literal, null, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import Digest, NoticeKind
from app.features.models import Board, Notice, NoticePreference, Request
from app.features.service.access import reads
from app.features.utils.digests import next_daily, next_weekly
from app.identity.models import Person


async def tell(
    session: AsyncSession,
    wanted: Select[UUID, UUID],
    kind: NoticeKind,
    *,
    without: UUID | None,
    release_id: UUID | None = None,
    announcement_id: UUID | None = None,
    comment_id: UUID | None = None,
    at: datetime | None = None,
) -> int:
    """Give a notice to everybody who is wanted (``root_id``, ``person_id``) and may see what it is about; to
    how many. ``without``: whose doing it is."""
    at = at or datetime.now(UTC)
    pairs = wanted.cte("wanted")
    first: Any = func.array_agg(aggregate_order_by(Request.id, Request.id), type_=ARRAY(Uuid))
    reached = (
        select(pairs.c.person_id, first[1].label("request_id"))
        .join(Request, Request.id == pairs.c.root_id)
        .join(Board, Board.id == Request.board_id)
        .join(Person, Person.id == pairs.c.person_id)
        .where(Person.id.is_distinct_from(without), reads(Person))
        .group_by(pairs.c.person_id)
        .cte("reached")
    )
    held = (
        select(Person.id, reached.c.request_id, _due(at).label("due"))
        .join(reached, reached.c.person_id == Person.id)
        .outerjoin(NoticePreference, NoticePreference.person_id == Person.id)
        .where(Person.erased_at.is_(None), Person.active)
        .order_by(Person.id)
        .with_for_update(read=True, key_share=True, of=Person)
        .cte("held")
    )
    about = {"release_id": release_id, "announcement_id": announcement_id, "comment_id": comment_id}
    values = {name: literal(value, type_=Notice.__table__.c[name].type) for name, value in about.items()}
    rows = select(held.c.id, literal(str(kind)), held.c.request_id, held.c.due, *values.values())
    columns = ["person_id", "kind", "request_id", "mail_due_at", *values]
    made = await session.execute(
        insert(Notice).from_select(columns, rows).on_conflict_do_nothing().returning(Notice.id)
    )
    return len(made.all())


def _due(at: datetime) -> Any:
    """When a person is to be mailed; null: not at all."""
    wishes = func.coalesce(NoticePreference.digest, Digest.immediate)
    return case(
        (Person.email.is_(None), null()),
        (NoticePreference.email.is_(False), null()),
        (wishes == Digest.daily, literal(next_daily(at), DateTime(timezone=True))),
        (wishes == Digest.weekly, literal(next_weekly(at), DateTime(timezone=True))),
        else_=literal(at, DateTime(timezone=True)),
    )
