"""Commenting: who says what on a request, and the staff's answer to it.

What is written to a merged request stands with its root.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.features.constants import COMMENTS_MAX, CommentKind
from app.features.exceptions import TooManyCommentsError, UnknownCommentError
from app.features.models import Comment, Request
from app.features.service import boards, notices
from app.features.service.comments import rows
from app.features.service.comments.reading import is_shown, listed
from app.features.service.groups import lock_root
from app.features.service.people import check_person, own_id
from app.identity.principal import Principal


async def add(
    session: AsyncSession,
    request_id: UUID,
    *,
    actor: Principal,
    body: str,
    parent_id: UUID | None = None,
    kind: CommentKind = CommentKind.public,
    official: bool = False,
) -> Comment:
    """Comment on a request, or on what it was merged into.

    An answer to an answer answers the comment above both; one to a note is a note. A customer's on a
    moderated board waits for approval. Errors: ``RequestNotFoundError``, ``PermissionDeniedError``,
    ``PersonRequiredError`` (of a customer), ``RequestLockedError``, ``BoardArchivedError``,
    ``UnknownCommentError``, ``UnknownPersonError``, ``TooManyCommentsError``, ``EmptyCommentError``.
    """
    if not actor.is_staff:
        if kind is not CommentKind.public or official:
            raise PermissionDeniedError("Customers write public comments.")
        own_id(actor)
    root = await lock_root(session, request_id, principal=actor)
    await boards.check_active(session, root.board_id)
    rows.check_unlocked(root, actor)
    if actor.person_id is not None:
        await check_person(session, actor.person_id, board_id=root.board_id)
    await _check_room(session, root)
    parent = await _parent(session, root, parent_id, actor=actor)
    made = await _insert(
        session,
        root,
        actor,
        body=body,
        parent_id=None if parent is None else parent.parent_id or parent.id,
        kind=CommentKind.note if parent is not None and parent.kind == CommentKind.note else kind,
    )
    if official:
        await rows.make_official(session, made, official=True, actor=actor)
    return made


async def answer(session: AsyncSession, request: Request, body: str, *, actor: Principal) -> Comment:
    """Answer a locked root officially. An earlier answer stays as a comment. ``EmptyCommentError``,
    ``TooManyCommentsError``."""
    await _check_room(session, request)
    made = await _insert(session, request, actor, body=body, parent_id=None, kind=CommentKind.public)
    await rows.make_official(session, made, official=True, actor=actor)
    return made


async def _insert(
    session: AsyncSession,
    root: Request,
    actor: Principal,
    *,
    body: str,
    parent_id: UUID | None,
    kind: CommentKind,
) -> Comment:
    waits = not actor.is_staff and await boards.is_moderated(session, root.board_id)
    values = await rows.words(body) | {
        "request_id": root.id,
        "parent_id": parent_id,
        "author_id": actor.person_id,
        "by_staff": actor.is_staff,
        "kind": kind,
        "approved_at": None if waits else datetime.now(UTC),
    }
    made = (await session.scalars(insert(Comment).values(values).returning(Comment))).one()
    await rows.record(session, root, made, actor=actor, type="feature_request.commented")
    if is_shown(made):
        await notices.commented(session, root, made, actor=actor)
    return made


async def _parent(
    session: AsyncSession, root: Request, parent_id: UUID | None, *, actor: Principal
) -> Comment | None:
    if parent_id is None:
        return None
    found = await session.scalar(
        listed(principal=actor, root_id=root.id).where(Comment.id == parent_id, Comment.erased_at.is_(None))
    )
    if found is None:
        raise UnknownCommentError("The comment answered is none of this request's.", field="parent_id")
    return found


async def _check_room(session: AsyncSession, root: Request) -> None:
    counting = select(func.count()).select_from(Comment).where(Comment.request_id == root.id)
    if (await session.scalar(counting) or 0) >= COMMENTS_MAX:
        raise TooManyCommentsError(f"A request has {COMMENTS_MAX} comments at most.", maximum=COMMENTS_MAX)
