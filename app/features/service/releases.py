"""Releases: a board's changelog. Shipping one ships its requests and tells everybody who waits for them.

Lock order: which request is merged into which, the release, the roots of its requests by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.features.constants import RELEASE_TYPE, FeatureStatus, NoticeKind, ReleaseStatus
from app.features.desk import Desk
from app.features.exceptions import (
    DifferentBoardError,
    ReleaseNotFoundError,
    ReleaseShippedError,
    UnknownRequestError,
)
from app.features.models import Release, ReleaseRequest, Request
from app.features.service import boards, drafts, notices, subscriptions, transitions
from app.features.service.access import releases_of, requests_of
from app.features.service.changes import lock
from app.features.service.groups import one_at_a_time
from app.features.service.texts import rendered
from app.identity.principal import Principal
from app.listing import Listing, any_of
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

FRESH = {"populate_existing": True}
RELEASES = Listing(
    Release,
    sorts={"created_at": Release.created_at, "shipped_at": Release.shipped_at},
    default="-created_at",
)


def listed(
    *,
    principal: Principal | None,
    boards: Sequence[UUID] | None = None,
    statuses: Sequence[ReleaseStatus] | None = None,
) -> Select[Release]:
    """Releases that a list shows."""
    return select(Release).where(
        releases_of(principal), any_of(Release.board_id, boards), any_of(Release.status, statuses)
    )


async def get(session: AsyncSession, release_id: UUID, *, principal: Principal | None) -> Release:
    """The release; ``ReleaseNotFoundError`` also when the caller may not see it."""
    statement = select(Release).where(Release.id == release_id, releases_of(principal))
    return _found(await session.scalar(statement, execution_options=FRESH))


async def create(
    session: AsyncSession,
    *,
    actor: Principal,
    board_id: UUID,
    title: str,
    body: str = "",
    label: str | None = None,
    request_ids: Sequence[UUID] = (),
) -> Release:
    """A draft. ``UnknownBoardError``, ``BoardArchivedError``, ``UnknownRequestError``,
    ``DifferentBoardError``."""
    await boards.known(session, board_id, principal=actor)
    values = await _words({"title": title, "body": body, "label": label})
    values |= {"board_id": board_id, "created_by": actor.person_id}
    made = (await session.scalars(insert(Release).values(values).returning(Release))).one()
    await _put(session, made, await _roots(session, made, request_ids, principal=actor))
    told = {"number": made.number, "board_id": board_id, "version": made.version}
    await _record(session, "feature_release.created", made, actor=actor, after=told)
    return made


async def change(
    session: AsyncSession, release_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> Release:
    """Change what is given; of a shipped one the words alone.

    Errors: ``ReleaseNotFoundError``, ``VersionMismatchError``, ``ReleaseShippedError``,
    ``BoardArchivedError``, ``UnknownRequestError``, ``DifferentBoardError``.
    """
    release = await _lock(session, release_id, principal=actor, expected=expected)
    await boards.check_active(session, release.board_id)
    values = {name: value for name, value in given.items() if value is not UNSET}
    request_ids = values.pop("request_ids", None)
    if request_ids is not None:
        _check_draft(release)
        await _put(session, release, await _roots(session, release, request_ids, principal=actor))
    return await _change(session, release, await _words(values), actor=actor, type="feature_release.updated")


async def remove(
    session: AsyncSession, release_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> None:
    """Throw a draft away. ``ReleaseNotFoundError``, ``VersionMismatchError``, ``ReleaseShippedError``."""
    release = await _lock(session, release_id, principal=actor, expected=expected)
    _check_draft(release)
    await session.execute(delete(Release).where(Release.id == release.id))
    before = {"number": release.number, "version": release.version}
    await _record(session, "feature_release.deleted", release, actor=actor, before=before)


async def ship(
    session: AsyncSession, desk: Desk, release_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> Release:
    """Ship a release with its requests, all or nothing; tell each who waits for any of them once.

    What was merged meanwhile ships as its root; what is shipped already stays. Errors:
    ``ReleaseNotFoundError``, ``VersionMismatchError``, ``ReleaseShippedError``, ``BoardArchivedError``,
    ``InvalidRequestTransitionError`` (of one that was declined).
    """
    await one_at_a_time(session)
    release = await _lock(session, release_id, principal=actor, expected=expected)
    _check_draft(release)
    await boards.check_active(session, release.board_id)
    roots = await _roots(session, release, await request_ids_of(session, release), principal=actor)
    for root_id in sorted(roots):
        root = await lock(session, root_id, principal=actor)
        if root.status != FeatureStatus.shipped:
            told = {"release_id": release.id}
            await transitions.apply(
                session, root, FeatureStatus.shipped, actor=actor, announce=False, told=told
            )
    await _put(session, release, roots)
    values = {"status": ReleaseStatus.shipped, "shipped_at": datetime.now(UTC), "shipped_by": actor.person_id}
    shipped = await _change(session, release, values, actor=actor, type="feature_release.shipped")
    await notices.drop(session, roots)
    wanted = subscriptions.wanting(roots, what="status")
    await notices.tell(session, wanted, NoticeKind.released, without=actor.person_id, release_id=shipped.id)
    await drafts.plan_drafts(session, desk, shipped.id, roots, actor=actor)
    return shipped


async def request_ids_of(session: AsyncSession, release: Release) -> Sequence[UUID]:
    """What the release ships, in its order."""
    mine = select(ReleaseRequest.request_id).where(ReleaseRequest.release_id == release.id)
    return (await session.scalars(mine.order_by(ReleaseRequest.position))).all()


async def _roots(
    session: AsyncSession, release: Release, request_ids: Sequence[UUID], *, principal: Principal
) -> list[UUID]:
    """What the named requests are merged into, or they themselves, each once, in their order."""
    statement = select(Request).where(Request.id.in_(request_ids), requests_of(principal))
    found = {each.id: each for each in await session.scalars(statement, execution_options=FRESH)}
    for each in request_ids:
        if each not in found:
            raise UnknownRequestError(f"There is no request {each}.", field="request_ids")
        if found[each].board_id != release.board_id:
            raise DifferentBoardError("A release ships requests of its own board.", field="request_ids")
    return list(dict.fromkeys(found[each].merged_into_id or each for each in request_ids))


async def _put(session: AsyncSession, release: Release, request_ids: Sequence[UUID]) -> None:
    await session.execute(delete(ReleaseRequest).where(ReleaseRequest.release_id == release.id))
    rows = [
        {"release_id": release.id, "request_id": each, "position": position}
        for position, each in enumerate(request_ids)
    ]
    if rows:
        await session.execute(insert(ReleaseRequest).values(rows))


async def _lock(
    session: AsyncSession, release_id: UUID, *, principal: Principal, expected: Expected
) -> Release:
    statement = select(Release).where(Release.id == release_id, releases_of(principal)).with_for_update()
    release = _found(await session.scalar(statement, execution_options=FRESH))
    expected.check(release.version)
    return release


async def _change(
    session: AsyncSession,
    release: Release,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    type: str,  # noqa: A002 - the event's type, as the API calls it
) -> Release:
    statement = update(Release).where(Release.id == release.id)
    statement = statement.values(version=Release.version + 1, updated_at=func.now(), **values)
    changed = (await session.scalars(statement.returning(Release), execution_options=FRESH)).one()
    told = {"status": changed.status, "version": changed.version, "shipped_at": changed.shipped_at}
    await _record(session, type, changed, actor=actor, after=told)
    return changed


async def _record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    release: Release,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    subject = Subject(RELEASE_TYPE, release.id)
    await events.record(session, type, subject=subject, actor=actor, before=before, after=after)


async def _words(values: Mapping[str, Any]) -> dict[str, Any]:
    """As they are kept: without card numbers, the body also as HTML."""
    kept = dict(values)
    for name in ("title", "label"):
        if kept.get(name) is not None:
            kept[name] = redact(kept[name]).strip()
    if "body" in kept:
        body = await rendered(kept["body"])
        kept |= {"body": body.raw, "body_html": body.html}
    return kept


def _check_draft(release: Release) -> None:
    if release.status == ReleaseStatus.shipped:
        raise ReleaseShippedError("This release has shipped.")


def _found(release: Release | None) -> Release:
    if release is None:
        raise ReleaseNotFoundError("There is no such release.")
    return release
