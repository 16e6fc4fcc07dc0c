"""Who voted for a request, as the staff see it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.features.desk import Desk
from app.features.exceptions import UnknownReferenceError
from app.features.models import VOTERS, Vote
from app.features.schemas.voices import FeatureVoterView, VoteSource
from app.features.service.changes import get
from app.features.service.groups import members
from app.identity.models import Person
from app.identity.principal import Principal
from app.pagination import Page, Position, after, page


async def listed(
    session: AsyncSession, request_id: UUID, *, principal: Principal, limit: int, cursor: str | None
) -> Page[FeatureVoterView]:
    """Voters of the request's group, who voted last first; ``RequestNotFoundError``."""
    request = await get(session, request_id, principal=principal)
    root_id = request.merged_into_id or request.id
    statement = (
        select(VOTERS.c.voted_at, VOTERS.c.person_id, Person.account_id)
        .join(Person, Person.id == VOTERS.c.person_id)
        .where(VOTERS.c.root_id == root_id)
    )
    statement = after(statement, key=VOTERS.c.voted_at, id=VOTERS.c.person_id, cursor=cursor, limit=limit)
    rows = (await session.execute(statement)).all()
    earliest = await _earliest(session, root_id, {each.person_id for each in rows})
    return page(
        rows,
        limit=limit,
        show=lambda row: _view(row, earliest[row.person_id]),
        position=lambda row: Position(row.voted_at, row.person_id),
    )


async def check_source(session: AsyncSession, desk: Desk, source: Subject, *, principal: Principal) -> None:
    """``UnknownReferenceError`` unless a desk has this ticket or case and the caller may see it."""
    for each in desk.open_work:
        if await each.item(session, source, principal=principal) is not None:
            return
    raise UnknownReferenceError("There is no such ticket or case.", field="source")


async def _earliest(session: AsyncSession, root_id: UUID, person_ids: Collection[UUID]) -> dict[UUID, Vote]:
    """Each one's earliest vote in the group."""
    statement = (
        select(Vote)
        .where(Vote.request_id.in_(members(root_id)), Vote.person_id.in_(person_ids))
        .order_by(Vote.person_id, Vote.created_at, Vote.request_id)
        .ext(distinct_on(Vote.person_id))
    )
    return {each.person_id: each for each in await session.scalars(statement)}


def _view(row: Any, vote: Vote) -> FeatureVoterView:
    source = None
    if vote.source_type is not None and vote.source_id is not None:
        source = VoteSource(type=vote.source_type, id=vote.source_id)
    return FeatureVoterView(
        person_id=row.person_id,
        account_id=row.account_id,
        voted_at=row.voted_at,
        added_by=vote.added_by,
        source=source,
    )
