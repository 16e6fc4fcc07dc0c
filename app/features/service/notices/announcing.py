"""Changes of status: told when they have stood for a while, so that what flaps is told once or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.features.constants import SETTLE, CommentKind, FeatureStatus, NoticeKind
from app.features.models import Announcement, Comment, Request
from app.features.service.notices.telling import tell
from app.features.service.subscriptions import wanting
from app.identity.principal import Principal

TELL_SECONDS = 30.0  # between two looks at what is due


async def moved(session: AsyncSession, request: Request, before: FeatureStatus, *, actor: Principal) -> None:
    """A locked request came from one status to another. Until that is told, further moves change what is
    told and when; back where it began, nothing is."""
    due_at = datetime.now(UTC) + SETTLE
    latest = {"to_status": request.status, "actor_id": actor.person_id, "due_at": due_at}
    row = insert(Announcement).values(request_id=request.id, from_status=before, **latest)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["request_id"], index_where=Announcement.told_at.is_(None), set_=latest
        )
    )
    await session.execute(
        delete(Announcement).where(
            Announcement.request_id == request.id,
            Announcement.told_at.is_(None),
            Announcement.from_status == Announcement.to_status,
        )
    )


async def drop(session: AsyncSession, request_ids: Sequence[UUID]) -> None:
    """What is pending of locked requests is not told by itself: something else tells it."""
    await session.execute(
        delete(Announcement).where(Announcement.request_id.in_(request_ids), Announcement.told_at.is_(None))
    )


async def commented(session: AsyncSession, request: Request, comment: Comment, *, actor: Principal) -> None:
    """A public comment on a locked root was made or approved: who wants comments is told, but its author."""
    if comment.kind != CommentKind.public:
        return
    without = actor.person_id if comment.author_id is None else comment.author_id
    wanted = wanting([request.id], what="comments")
    await tell(session, wanted, NoticeKind.comment, without=without, comment_id=comment.id)


async def tell_due(database: Database, *, at: datetime | None = None) -> int:
    """Tell what has stood long enough at ``at`` (now); how many announcements. Several may run at once, and
    be killed anywhere: an announcement and its notices are one transaction."""
    at, told = at or datetime.now(UTC), 0
    while True:
        async with database.session() as session:
            if not await _tell_one(session, at):
                return told
        told += 1


async def _tell_one(session: AsyncSession, at: datetime) -> bool:
    due = select(Announcement).where(Announcement.told_at.is_(None), Announcement.due_at <= at)
    claim = due.order_by(Announcement.due_at, Announcement.id).limit(1).with_for_update(skip_locked=True)
    found = await session.scalar(claim)
    if found is None:
        return False
    await session.execute(update(Announcement).where(Announcement.id == found.id).values(told_at=at))
    # What was merged meanwhile has its target's status.
    merged = await session.scalar(select(Request.merged_into_id).where(Request.id == found.request_id))
    if merged is None:
        wanted, about = wanting([found.request_id], what="status"), found.id
        await tell(session, wanted, NoticeKind.status, without=found.actor_id, announcement_id=about, at=at)
    return True
