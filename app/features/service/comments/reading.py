"""Who reads which comments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select, true
from sqlalchemy.orm import aliased

from app.features.constants import CommentKind
from app.features.models import Comment, Request
from app.features.service.access import requests_of
from app.features.service.groups import members
from app.identity.principal import Principal
from app.listing import Listing

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


def is_shown(comment: Comment) -> bool:
    """To everybody who sees the request."""
    return (
        comment.kind == CommentKind.public and comment.approved_at is not None and comment.hidden_at is None
    )


def _is_out(comment: Any) -> ColumnElement[bool]:
    return and_(
        comment.kind == CommentKind.public, comment.approved_at.is_not(None), comment.hidden_at.is_(None)
    )
