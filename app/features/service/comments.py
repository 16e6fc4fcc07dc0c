"""Comments: threads of one level, the official answer, the staff's notes, and what waits for approval.

What is written to a merged request stands with its root. Who removes a comment takes its words away: its
place stays, since others answered it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.exceptions import PermissionDeniedError
from app.features.constants import COMMENTS_MAX, CommentKind
from app.features.exceptions import (
    CommentErasedError,
    CommentNotFoundError,
    EmptyCommentError,
    RequestLockedError,
    TooManyCommentsError,
    UnknownCommentError,
)
from app.features.models import Board, Comment, Request
from app.features.service import boards, notices
from app.features.service.access import requests_of
from app.features.service.changes import change, record
from app.features.service.groups import lock_root, members
from app.features.service.people import check_person, own_id
from app.features.service.texts import rendered
from app.identity.principal import Principal
from app.listing import Listing
from app.preconditions import ANYTHING, Expected

FRESH = {"populate_existing": True}
COMMENTS = Listing(Comment, sorts={"created_at": Comment.created_at}, default="created_at")


def comments_of(principal: Principal | None) -> ColumnElement[bool]:
    """Comments that the caller may read, on requests that they see: notes are the staff's, and what was not
    approved or is hidden its author's, with what answers it."""
    if principal is not None and principal.is_staff:
        return true()
    parent = aliased(Comment)
    hangs = select(parent.id).where(parent.id == Comment.parent_id, _is_out(parent)).correlate(Comment)
    shown: ColumnElement[bool] = and_(_is_out(Comment), or_(Comment.parent_id.is_(None), hangs.exists()))
    if principal is not None and principal.person_id is not None:
        shown = or_(shown, Comment.author_id == principal.person_id)
    return and_(Comment.kind == CommentKind.public, shown)


def listed(
    *,
    principal: Principal | None,
    root_id: UUID | None = None,
    kind: CommentKind | None = None,
    approved: bool | None = None,
) -> Select[Comment]:
    """Comments that a list shows; ``root_id``: of this group alone."""
    statement = (
        select(Comment)
        .join(Request, Request.id == Comment.request_id)
        .where(requests_of(principal), comments_of(principal))
    )
    if root_id is not None:
        statement = statement.where(Comment.request_id.in_(members(root_id)))
    if kind is not None:
        statement = statement.where(Comment.kind == kind)
    if approved is not None:
        statement = statement.where(Comment.approved_at.is_not(None) == approved)
    return statement


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
    _check_unlocked(root, actor)
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
        await _make_official(session, made, official=True, actor=actor)
    return made


async def answer(session: AsyncSession, request: Request, body: str, *, actor: Principal) -> Comment:
    """Answer a locked root officially. An earlier answer stays as a comment. ``EmptyCommentError``,
    ``TooManyCommentsError``."""
    await _check_room(session, request)
    made = await _insert(session, request, actor, body=body, parent_id=None, kind=CommentKind.public)
    await _make_official(session, made, official=True, actor=actor)
    return made


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
    root, comment = await _lock(session, request_id, comment_id, actor=actor)
    expected.check(comment.version)
    if comment.erased_at is not None:
        raise CommentErasedError("This comment was removed.")
    at, values, was_out = datetime.now(UTC), dict[str, Any](), comment.approved_at is not None
    if body is not UNSET:
        _check_author(comment, actor)
        _check_unlocked(root, actor)
        values |= await _words(body) | {"edited_at": at}
        if not actor.is_staff and await _is_moderated(session, root):
            values["approved_at"] = None
    if {approved, hidden, official} != {UNSET} and not actor.is_staff:
        raise PermissionDeniedError("Only the staff moderate comments.")
    if approved is not UNSET:
        values["approved_at"] = (comment.approved_at or at) if approved else None
    if hidden is not UNSET:
        values["hidden_at"] = (comment.hidden_at or at) if hidden else None
    changed = await _change(session, root, comment, values, actor=actor)
    is_answer = changed.official if official is UNSET else official
    if is_answer != changed.official or (is_answer and not _is_shown(changed)):
        await _make_official(session, changed, official=is_answer and official is not UNSET, actor=actor)
    if _is_shown(changed) and not was_out:
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
    root, comment = await _lock(session, request_id, comment_id, actor=actor)
    expected.check(comment.version)
    if not actor.is_staff:
        _check_author(comment, actor)
    if comment.erased_at is not None:
        return
    if comment.official:
        await _make_official(session, comment, official=False, actor=actor)
    nothing = {"body": "", "body_html": "", "erased_at": datetime.now(UTC)}
    await _change(session, root, comment, nothing, actor=actor, type="feature_request.comment_erased")


async def _insert(
    session: AsyncSession,
    root: Request,
    actor: Principal,
    *,
    body: str,
    parent_id: UUID | None,
    kind: CommentKind,
) -> Comment:
    waits = not actor.is_staff and await _is_moderated(session, root)
    values = await _words(body) | {
        "request_id": root.id,
        "parent_id": parent_id,
        "author_id": actor.person_id,
        "by_staff": actor.is_staff,
        "kind": kind,
        "approved_at": None if waits else datetime.now(UTC),
    }
    made = (await session.scalars(insert(Comment).values(values).returning(Comment))).one()
    await _record(session, root, made, actor=actor, type="feature_request.commented")
    if _is_shown(made):
        await notices.commented(session, root, made, actor=actor)
    return made


async def _change(
    session: AsyncSession,
    root: Request,
    comment: Comment,
    values: dict[str, Any],
    *,
    actor: Principal,
    type: str = "feature_request.comment_changed",  # noqa: A002 - the event's type, as the API calls it
) -> Comment:
    if not {name: value for name, value in values.items() if getattr(comment, name) != value}:
        return comment
    statement = update(Comment).where(Comment.id == comment.id).values(version=Comment.version + 1, **values)
    changed = (await session.scalars(statement.returning(Comment), execution_options=FRESH)).one()
    await _record(session, root, changed, actor=actor, type=type)
    return changed


async def _record(
    session: AsyncSession,
    root: Request,
    comment: Comment,
    *,
    actor: Principal,
    type: str,  # noqa: A002 - the event's type, as the API calls it
) -> None:
    told = {"comment_id": comment.id, "kind": comment.kind, "version": comment.version}
    told |= {"approved": comment.approved_at is not None, "hidden": comment.hidden_at is not None}
    await record(session, type, root, actor=actor, after=told, customer_visible=_is_shown(comment))


async def _make_official(
    session: AsyncSession, comment: Comment, *, official: bool, actor: Principal
) -> None:
    """Its request's one official answer, or no more; what was it before stays as a comment."""
    if official and not _is_shown(comment):
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
    await change(session, request, {"answer_id": answer_id}, actor=actor, type="feature_request.answered")


async def _lock(
    session: AsyncSession, request_id: UUID, comment_id: UUID, *, actor: Principal
) -> tuple[Request, Comment]:
    """The root of the request, and a comment of its group, locked."""
    root = await lock_root(session, request_id, principal=actor)
    await boards.check_active(session, root.board_id)
    found = listed(principal=actor, root_id=root.id).where(Comment.id == comment_id)
    comment = await session.scalar(found.with_for_update(of=Comment, key_share=True), execution_options=FRESH)
    if comment is None:
        raise CommentNotFoundError("The request has no such comment.")
    return root, comment


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


async def _is_moderated(session: AsyncSession, root: Request) -> bool:
    return bool(await session.scalar(select(Board.moderated).where(Board.id == root.board_id)))


def _check_unlocked(root: Request, actor: Principal) -> None:
    if root.locked_at is not None and not actor.is_staff:
        raise RequestLockedError("This request is locked.")


def _check_author(comment: Comment, actor: Principal) -> None:
    if actor.person_id is None or comment.author_id != actor.person_id:
        raise PermissionDeniedError("Only its author does this to a comment.")


async def _words(body: str) -> dict[str, str]:
    words = await rendered(body)
    if not words.text.strip():
        raise EmptyCommentError("Write something that can be shown.", field="body")
    return {"body": words.raw, "body_html": words.html}


def _is_shown(comment: Comment) -> bool:
    """To everybody who sees the request."""
    return (
        comment.kind == CommentKind.public and comment.approved_at is not None and comment.hidden_at is None
    )


def _is_out(comment: Any) -> ColumnElement[bool]:
    return and_(
        comment.kind == CommentKind.public, comment.approved_at.is_not(None), comment.hidden_at.is_(None)
    )
