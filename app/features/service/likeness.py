"""Likeness: what the searchable side of the house knows of a request, and what is like a text."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app import matching
from app.features.constants import OnDuplicate
from app.features.desk import Desk
from app.features.models import Request
from app.features.service.changes import subject_of
from app.identity.principal import Principal
from app.matching import Entry

AUDIENCE = ("staff",)


async def changed(session: AsyncSession, request: Request) -> None:
    """A locked request was made, merged or unmerged, or its text changed: what is found follows.

    A merged one is found no more: its root is.
    """
    if request.merged_into_id is not None:
        await matching.remove(session, subject_of(request.id))
    else:
        await matching.index_many(session, [entry(request)])


def entry(request: Request) -> Entry:
    """A request as it is found by likeness; whose they are is asked of the requests themselves."""
    return Entry(
        subject=subject_of(request.id),
        title=request.title,
        body=request.body,
        audience=AUDIENCE,
        created_at=request.created_at,
    )


async def check_new(
    session: AsyncSession,
    desk: Desk,
    *,
    board_id: UUID,
    title: str,
    body: str,
    on_duplicate: OnDuplicate,
    actor: Principal,
) -> UUID | None:
    """Before a request is made: the id of the one to vote for instead, with ``OnDuplicate.vote``.

    ``LikelyDuplicateError`` with the candidates, with ``OnDuplicate.refuse``.
    """
    return None
