"""Merging as a link: the source's votes count with the target's until that is undone.

Nothing is copied. Merges that stand are the edges of a forest, from a request to what it was merged into;
``merged_into_id`` is the tree's root, so that a group is one level deep for whoever reads it. Undoing a merge
cuts its edge, and what hangs below comes along: each request gets exactly its own voters again, in whatever
order merges are undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import GROUP_MAX
from app.features.exceptions import (
    DifferentBoardError,
    GroupTooLargeError,
    InvalidMergeError,
    NotMergedError,
    RequestNotFoundError,
)
from app.features.models import Merge, Request
from app.features.service import boards, likeness, votes
from app.features.service.access import requests_of
from app.features.service.changes import change, check_unmerged, lock
from app.features.service.groups import one_at_a_time
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected

BELOW = text("""
with recursive below (id) as (
    select source_id from feature_merge where target_id = :request_id and undone_at is null
    union all
    select m.source_id from feature_merge m join below b on m.target_id = b.id where m.undone_at is null
)
select id from below
""")


async def merge(
    session: AsyncSession,
    source_id: UUID,
    target_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> Request:
    """Merge a request, with what was merged into it, into another one of its board; the target.

    ``expected``: of the source. Errors: ``RequestNotFoundError``, ``VersionMismatchError``,
    ``InvalidMergeError`` (with itself), ``RequestMergedError`` (either is merged already; `target_id` says
    into which), ``DifferentBoardError``, ``GroupTooLargeError``, ``BoardArchivedError``.
    """
    await one_at_a_time(session)
    source, target = await _lock_both(session, source_id, target_id, actor=actor)
    expected.check(source.version)
    if source.id == target.id:
        raise InvalidMergeError("A request is not merged into itself.")
    for each in (source, target):
        check_unmerged(each)
    if source.board_id != target.board_id:
        raise DifferentBoardError("Requests of one board are merged; move one of them first.")
    await boards.check_active(session, target.board_id)
    below = await _below(session, source.id)
    grown = len(below) + 1 + len(await _below(session, target.id))
    if grown > GROUP_MAX:
        raise GroupTooLargeError(f"At most {GROUP_MAX} requests are merged into one.", maximum=GROUP_MAX)
    row = {"source_id": source.id, "target_id": target.id, "merged_by": actor.person_id}
    await session.execute(insert(Merge).values(row))
    await _point(session, below, target.id)
    source = await change(
        session,
        source,
        {"merged_into_id": target.id, "merged_at": datetime.now(UTC)},
        actor=actor,
        type="feature_request.merged",
    )
    await likeness.changed(session, source)
    await votes.recount(session, target)
    return target


async def unmerge(session: AsyncSession, source_id: UUID, *, actor: Principal) -> Request:
    """Undo the standing merge of a request; what had been merged into it comes along. The source.

    Errors: ``RequestNotFoundError``, ``NotMergedError``, ``BoardArchivedError``.
    """
    await one_at_a_time(session)
    wanted = select(Request.merged_into_id).where(Request.id == source_id, requests_of(actor))
    found = (await session.execute(wanted)).one_or_none()
    if found is None:
        raise RequestNotFoundError("There is no such request.")
    if found.merged_into_id is None:
        raise NotMergedError("This request is not merged into another one.")
    target = await lock(session, found.merged_into_id, principal=actor)  # a root is locked before its own
    source = await lock(session, source_id, principal=actor)
    await boards.check_active(session, source.board_id)
    await session.execute(
        update(Merge)
        .where(Merge.source_id == source.id, Merge.undone_at.is_(None))
        .values(undone_at=func.now(), undone_by=actor.person_id)
    )
    source = await change(
        session,
        source,
        {"merged_into_id": None, "merged_at": None},
        actor=actor,
        type="feature_request.unmerged",
    )
    await _point(session, await _below(session, source.id), source.id)
    await votes.recount(session, source)
    await likeness.changed(session, source)
    await votes.recount(session, target)
    return source


async def _lock_both(
    session: AsyncSession, source_id: UUID, target_id: UUID, *, actor: Principal
) -> tuple[Request, Request]:
    """Both, in the order of their ids."""
    found = {each: await lock(session, each, principal=actor) for each in sorted({source_id, target_id})}
    return found[source_id], found[target_id]


async def _below(session: AsyncSession, request_id: UUID) -> list[UUID]:
    """What was merged into a request, into that, and so on; without itself."""
    return sorted(await session.scalars(BELOW, {"request_id": request_id}))


async def _point(session: AsyncSession, request_ids: Sequence[UUID], root_id: UUID) -> None:
    """Merged requests belong to another root now; their own version says nothing of it."""
    if not request_ids:
        return
    locked = select(Request.id).where(Request.id.in_(request_ids)).order_by(Request.id)
    await session.execute(locked.with_for_update(key_share=True))
    await session.execute(
        update(Request)
        .where(Request.id.in_(request_ids))
        .values(merged_into_id=root_id)
        .execution_options(synchronize_session=False)
    )
