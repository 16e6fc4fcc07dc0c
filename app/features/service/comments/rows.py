"""A comment's row: found and locked, changed with its version and event, made the official answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.exceptions import (
    CommentNotFoundError,
    EmptyCommentError,
    RequestLockedError,
    UnknownCommentError,
)
from app.features.models import Comment, Request
from app.features.service import boards
from app.features.service.changes import FRESH
from app.features.service.changes import change as change_request
from app.features.service.changes import record as record_request
from app.features.service.comments.reading import is_shown, listed
from app.features.service.groups import lock_root
from app.features.service.texts import rendered
from app.identity.principal import Principal


async def lock(
    session: AsyncSession, request_id: UUID, comment_id: UUID, *, actor: Principal
) -> tuple[Request, Comment]:
    """The root of the request, and a comment of its group, locked; ``RequestNotFoundError``,
    ``BoardArchivedError``, ``CommentNotFoundError``."""
    root = await lock_root(session, request_id, principal=actor)
    await boards.check_active(session, root.board_id)
    found = listed(principal=actor, root_id=root.id).where(Comment.id == comment_id)
    comment = await session.scalar(found.with_for_update(of=Comment, key_share=True), execution_options=FRESH)
    if comment is None:
        raise CommentNotFoundError("The request has no such comment.")
    return root, comment


async def change(
    session: AsyncSession,
    root: Request,
    comment: Comment,
    values: dict[str, Any],
    *,
    actor: Principal,
    type: str = "feature_request.comment_changed",  # noqa: A002 - the event's type, as the API calls it
) -> Comment:
    """Change what is not so yet of a locked comment: one version, one event."""
    if not {name: value for name, value in values.items() if getattr(comment, name) != value}:
        return comment
    statement = update(Comment).where(Comment.id == comment.id).values(version=Comment.version + 1, **values)
    changed = (await session.scalars(statement.returning(Comment), execution_options=FRESH)).one()
    await record(session, root, changed, actor=actor, type=type)
    return changed


async def record(
    session: AsyncSession,
    root: Request,
    comment: Comment,
    *,
    actor: Principal,
    type: str,  # noqa: A002 - the event's type, as the API calls it
) -> None:
    """An event about a comment, seen by the request's author if the comment is."""
    told = {"comment_id": comment.id, "kind": comment.kind, "version": comment.version}
    told |= {"approved": comment.approved_at is not None, "hidden": comment.hidden_at is not None}
    await record_request(session, type, root, actor=actor, after=told, customer_visible=is_shown(comment))


async def make_official(session: AsyncSession, comment: Comment, *, official: bool, actor: Principal) -> None:
    """Its request's one official answer, or no more; what was it before stays as a comment.

    ``UnknownCommentError``: not everybody may read it.
    """
    if official and not is_shown(comment):
        raise UnknownCommentError("Only what everybody may read is an official answer.", field="official")
    mine = update(Comment).where(Comment.request_id == comment.request_id)
    await session.execute(
        mine.where(Comment.official | (Comment.id == comment.id))
        .values(official=(Comment.id == comment.id) if official else False)
        .execution_options(synchronize_session=False)
    )
    await session.refresh(comment)
    request = await session.get_one(Request, comment.request_id)
    answer_id = comment.id if official else None
    await change_request(
        session, request, {"answer_id": answer_id}, actor=actor, type="feature_request.answered"
    )


async def words(body: str) -> dict[str, str]:
    """The columns of a text; ``EmptyCommentError`` when nothing of it can be shown."""
    body_of = await rendered(body)
    if not body_of.text.strip():
        raise EmptyCommentError("Write something that can be shown.", field="body")
    return {"body": body_of.raw, "body_html": body_of.html}


def check_unlocked(root: Request, actor: Principal) -> None:
    """``RequestLockedError``, of a customer."""
    if root.locked_at is not None and not actor.is_staff:
        raise RequestLockedError("This request is locked.")
