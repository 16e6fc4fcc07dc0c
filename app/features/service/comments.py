"""Comments: who reads them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import CommentKind
from app.features.desk import Desk
from app.features.models import Comment, Request
from app.identity.principal import Principal


def comments_of(principal: Principal | None) -> ColumnElement[bool]:
    """Comments that the caller may read, on requests that they see: notes are the staff's, and what was not
    approved or is hidden its author's."""
    if principal is not None and principal.is_staff:
        return true()
    shown: ColumnElement[bool] = and_(Comment.approved_at.is_not(None), Comment.hidden_at.is_(None))
    if principal is not None and principal.person_id is not None:
        shown = or_(shown, Comment.author_id == principal.person_id)
    return and_(Comment.kind == CommentKind.public, shown)


async def answer(session: AsyncSession, desk: Desk, request: Request, body: str, *, actor: Principal) -> UUID:
    """The official answer to a locked request; its id. An earlier one stays as a comment."""
    raise NotImplementedError
