"""Changing a comment: its author its words, the staff who reads it.

Who removes a comment takes its words away: its place stays, since others answered it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.features.exceptions import CommentErasedError
from app.features.models import Comment
from app.features.service import boards, notices
from app.features.service.comments import rows
from app.features.service.comments.reading import is_shown
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected


async def edit(
    session: AsyncSession,
    request_id: UUID,
    comment_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
    body: Any = UNSET,
    approved: Any = UNSET,
    hidden: Any = UNSET,
    official: Any = UNSET,
) -> Comment:
    """Change a comment's words, its author alone; or moderate it, the staff.

    What a customer rewrites on a moderated board waits again. Errors: ``CommentNotFoundError``,
    ``RequestNotFoundError``, ``VersionMismatchError``, ``PermissionDeniedError``, ``CommentErasedError``,
    ``RequestLockedError``, ``BoardArchivedError``, ``EmptyCommentError``.
    """
    root, comment = await rows.lock(session, request_id, comment_id, actor=actor)
    expected.check(comment.version)
    if comment.erased_at is not None:
        raise CommentErasedError("This comment was removed.")
    at, values, was_out = datetime.now(UTC), dict[str, Any](), comment.approved_at is not None
    if body is not UNSET:
        _check_author(comment, actor)
        rows.check_unlocked(root, actor)
        values |= await rows.words(body) | {"edited_at": at}
        if not actor.is_staff and await boards.is_moderated(session, root.board_id):
            values["approved_at"] = None
    if {approved, hidden, official} != {UNSET} and not actor.is_staff:
        raise PermissionDeniedError("Only the staff moderate comments.")
    if approved is not UNSET:
        values["approved_at"] = (comment.approved_at or at) if approved else None
    if hidden is not UNSET:
        values["hidden_at"] = (comment.hidden_at or at) if hidden else None
    changed = await rows.change(session, root, comment, values, actor=actor)
    is_answer = changed.official if official is UNSET else official
    if is_answer != changed.official or (is_answer and not is_shown(changed)):
        await rows.make_official(session, changed, official=is_answer and official is not UNSET, actor=actor)
    if is_shown(changed) and not was_out:
        await notices.commented(session, root, changed, actor=actor)
    await session.refresh(changed)
    return changed


async def remove(
    session: AsyncSession,
    request_id: UUID,
    comment_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> None:
    """Take a comment's words away for good: its author, and the staff. Again changes nothing.

    Errors: ``CommentNotFoundError``, ``RequestNotFoundError``, ``VersionMismatchError``,
    ``PermissionDeniedError``, ``BoardArchivedError``.
    """
    root, comment = await rows.lock(session, request_id, comment_id, actor=actor)
    expected.check(comment.version)
    if not actor.is_staff:
        _check_author(comment, actor)
    if comment.erased_at is not None:
        return
    if comment.official:
        await rows.make_official(session, comment, official=False, actor=actor)
    nothing = {"body": "", "body_html": "", "erased_at": datetime.now(UTC)}
    await rows.change(session, root, comment, nothing, actor=actor, type="feature_request.comment_erased")


def _check_author(comment: Comment, actor: Principal) -> None:
    if actor.person_id is None or comment.author_id != actor.person_id:
        raise PermissionDeniedError("Only its author does this to a comment.")
