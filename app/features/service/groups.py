"""Merge groups: a root and the requests that are merged into it, one level deep.

Votes lock the root alone. Only who holds ``one_at_a_time`` changes which request is merged into which.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.models import VOTERS, Request
from app.features.service.changes import get, lock
from app.identity.principal import Principal

STRUCTURE_LOCK = 0x7472_6964_736B_6601
CLAIM = text("select pg_advisory_xact_lock(:key)")


async def one_at_a_time(session: AsyncSession) -> None:
    """Merges and their undoing come one after another; taken before any request's lock."""
    await session.execute(CLAIM, {"key": STRUCTURE_LOCK})


async def lock_root(session: AsyncSession, request_id: UUID, *, principal: Principal) -> Request:
    """The root of the request's group, locked; ``RequestNotFoundError`` when the caller does not see the
    request, or its root.

    A request that was merged while this waited for it is let go before its root is locked: who held both in
    the wrong order could stand in the way of somebody who holds them in the right one.
    """
    while True:
        request = await get(session, request_id, principal=principal)
        waiting = await session.begin_nested()
        root = await lock(session, request.merged_into_id or request.id, principal=principal)
        if root.merged_into_id is None and (root.id == request_id or await _is_in(session, request_id, root)):
            await waiting.commit()
            return root
        await waiting.rollback()


def members(root_id: UUID) -> Select[UUID]:
    """Ids of a group: the root's and those of what is merged into it."""
    return select(Request.id).where(or_(Request.id == root_id, Request.merged_into_id == root_id))


async def count_voters(session: AsyncSession, root_id: UUID) -> int:
    """Distinct voters of a group."""
    statement = select(func.count()).select_from(VOTERS).where(VOTERS.c.root_id == root_id)
    return await session.scalar(statement) or 0


async def _is_in(session: AsyncSession, request_id: UUID, root: Request) -> bool:
    return await session.scalar(select(Request.merged_into_id).where(Request.id == request_id)) == root.id
