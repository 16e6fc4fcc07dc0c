"""From one status to another: the table, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import TRANSITIONS, FeatureStatus
from app.features.exceptions import InvalidRequestTransitionError
from app.features.models import Request
from app.features.service import boards, comments, notices
from app.features.service.changes import change, check_unmerged, lock
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected


def allowed(status: FeatureStatus) -> list[FeatureStatus]:
    """Where a request can go from here, in the order of the states."""
    return [to for to in FeatureStatus if to in TRANSITIONS[status]]


async def move(
    session: AsyncSession,
    request_id: UUID,
    to: FeatureStatus,
    *,
    actor: Principal,
    answer: str | None = None,
    expected: Expected = ANYTHING,
) -> Request:
    """Move a request, and answer it officially with that.

    Errors: ``RequestNotFoundError``, ``VersionMismatchError``, ``RequestMergedError``,
    ``BoardArchivedError``, ``InvalidRequestTransitionError`` with where it can go, ``TooManyCommentsError``,
    ``EmptyCommentError``.
    """
    request = await lock(session, request_id, principal=actor)
    expected.check(request.version)
    check_unmerged(request)
    await boards.check_active(session, request.board_id)
    moved = await apply(session, request, to, actor=actor)
    if answer is not None:
        await comments.answer(session, moved, answer, actor=actor)
    return moved


async def apply(
    session: AsyncSession,
    request: Request,
    to: FeatureStatus,
    *,
    actor: Principal,
    announce: bool = True,
    told: dict[str, Any] | None = None,
) -> Request:
    """Move a locked, unmerged request; ``announce`` false: what it belongs to tells of it by itself.

    ``InvalidRequestTransitionError``.
    """
    before = FeatureStatus(request.status)
    if to not in TRANSITIONS[before]:
        raise InvalidRequestTransitionError(
            f"A request that is {before} cannot be moved to {to}.", current=before, allowed=allowed(before)
        )
    at = datetime.now(UTC)
    values = {"status": to, "status_changed_at": at}
    values["shipped_at"] = at if to is FeatureStatus.shipped else None
    moved = await change(session, request, values, actor=actor, type="feature_request.moved", told=told)
    if announce:
        await notices.moved(session, moved, before, actor=actor)
    return moved
