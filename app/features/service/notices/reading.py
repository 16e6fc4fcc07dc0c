"""Notices on the web: a person's own, of what they may still see; and how they want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import Digest, FeatureStatus, NoticeKind
from app.features.exceptions import NoticeNotFoundError
from app.features.models import Announcement, Board, Comment, Notice, NoticePreference, Release, Request
from app.features.schemas.notices import FeatureNoticePreferences, FeatureNoticeView
from app.features.service import release_views, showing
from app.features.service.access import releases_of, requests_of
from app.features.service.comments import comments_of
from app.features.service.people import own_id
from app.identity.principal import Principal
from app.listing import Listing
from app.preconditions import ANYTHING, Expected

NOTICES = Listing(Notice, sorts={"created_at": Notice.created_at}, default="-created_at")


def listed(*, principal: Principal, read: bool | None = None) -> Select[Notice]:
    """The caller's notices, of what they may still see; ``PersonRequiredError``."""
    seen = select(Request.id).where(requests_of(principal))
    shipped = select(Release.id).where(releases_of(principal))
    said = select(Comment.id).where(comments_of(principal), Comment.erased_at.is_(None))
    statement = select(Notice).where(
        Notice.person_id == own_id(principal),
        Notice.request_id.in_(seen),
        or_(Notice.release_id.is_(None), Notice.release_id.in_(shipped)),
        or_(Notice.comment_id.is_(None), Notice.comment_id.in_(said)),
    )
    return statement if read is None else statement.where(Notice.read_at.is_not(None) == read)


async def mark(
    session: AsyncSession,
    notice_id: UUID,
    *,
    principal: Principal,
    read: bool,
    expected: Expected = ANYTHING,
) -> Notice:
    """Mark a notice read or unread; again changes nothing. ``NoticeNotFoundError``, ``PersonRequiredError``,
    ``VersionMismatchError``."""
    wanted = listed(principal=principal).where(Notice.id == notice_id).with_for_update(of=Notice)
    notice = await session.scalar(wanted, execution_options={"populate_existing": True})
    if notice is None:
        raise NoticeNotFoundError("There is no such notice.")
    expected.check(notice.version)
    if read != (notice.read_at is not None):
        notice.read_at = datetime.now(UTC) if read else None
        notice.version += 1
        await session.flush()
    return notice


async def mark_all(session: AsyncSession, *, principal: Principal, before: datetime | None) -> int:
    """Mark as read what the caller has not, of before a time; how many. ``PersonRequiredError``."""
    mine = listed(principal=principal, read=False).with_only_columns(Notice.id)
    if before is not None:
        mine = mine.where(Notice.created_at < before)
    marking = update(Notice).where(Notice.id.in_(mine)).values(read_at=func.now(), version=Notice.version + 1)
    marked = await session.execute(marking.returning(Notice.id).execution_options(synchronize_session=False))
    return len(marked.all())


async def preferences(session: AsyncSession, *, principal: Principal) -> FeatureNoticePreferences:
    """How the caller wants notices; ``PersonRequiredError``."""
    found = await session.get(NoticePreference, own_id(principal), populate_existing=True)
    if found is None:
        return FeatureNoticePreferences()
    return FeatureNoticePreferences(email=found.email, digest=Digest(found.digest))


async def prefer(
    session: AsyncSession, wishes: FeatureNoticePreferences, *, principal: Principal
) -> FeatureNoticePreferences:
    """Say how, from the next notice on; without mail also nothing that waits. ``PersonRequiredError``."""
    person_id = own_id(principal)
    said = {"email": wishes.email, "digest": wishes.digest}
    row = insert(NoticePreference).values(person_id=person_id, **said)
    latest = said | {"version": NoticePreference.version + 1, "updated_at": func.now()}
    await session.execute(row.on_conflict_do_update(index_elements=["person_id"], set_=latest))
    return wishes


async def show_all(session: AsyncSession, notices: Sequence[Notice]) -> list[FeatureNoticeView]:
    """Notices with what they are about."""
    requests = await _by_id(session, Request, {each.request_id for each in notices})
    releases = await _by_id(session, Release, {each.release_id for each in notices})
    changes = await _by_id(session, Announcement, {each.announcement_id for each in notices})
    boards = await _by_id(session, Board, {each.board_id for each in requests.values()})
    return [
        _view(each, requests[each.request_id], releases, changes, boards)
        for each in notices
        if each.request_id is not None
    ]


def _view(
    notice: Notice,
    request: Request,
    releases: Mapping[UUID | None, Release],
    changes: Mapping[UUID | None, Announcement],
    boards: Mapping[UUID | None, Board],
) -> FeatureNoticeView:
    change, release = changes.get(notice.announcement_id), releases.get(notice.release_id)
    label = None
    if change is not None:
        label = showing.label_of(boards[request.board_id], change.to_status)
    return FeatureNoticeView(
        id=notice.id,
        kind=NoticeKind(notice.kind),
        request=showing.brief(request),
        release=None if release is None else release_views.brief(release),
        before=None if change is None else FeatureStatus(change.from_status),
        after=None if change is None else FeatureStatus(change.to_status),
        label=label,
        comment_id=notice.comment_id,
        read=notice.read_at is not None,
        version=notice.version,
        created_at=notice.created_at,
    )


async def _by_id(session: AsyncSession, model: Any, ids: set[UUID | None]) -> dict[UUID | None, Any]:
    found = await session.scalars(select(model).where(model.id.in_(ids - {None})))
    return {each.id: each for each in found}
