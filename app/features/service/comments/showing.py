"""Comments as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import CommentKind
from app.features.models import Comment, Request
from app.features.schemas.comments import FeatureCommentView
from app.identity.models import Person
from app.identity.principal import Principal


async def show(session: AsyncSession, comment: Comment, *, principal: Principal) -> FeatureCommentView:
    """One comment."""
    return (await show_all(session, [comment], principal=principal))[0]


async def show_all(
    session: AsyncSession, comments: Sequence[Comment], *, principal: Principal
) -> list[FeatureCommentView]:
    """Comments as the caller may read them; customers learn the names of the staff alone."""
    requests = {each.request_id for each in comments}
    authors = select(Request.id, Request.author_id).where(Request.id.in_(requests))
    requesters = {each.id: each.author_id for each in await session.execute(authors)}
    named = [each.author_id for each in comments if principal.is_staff or each.by_staff]
    names: dict[UUID | None, str] = {
        each.id: each.name
        for each in await session.execute(select(Person.id, Person.name).where(Person.id.in_(named)))
    }
    return [
        FeatureCommentView(
            id=each.id,
            request_id=each.request_id,
            parent_id=each.parent_id,
            kind=CommentKind(each.kind),
            official=each.official,
            body=each.body,
            body_html=each.body_html,
            by_staff=each.by_staff,
            by_requester=each.author_id is not None and each.author_id == requesters[each.request_id],
            mine=each.author_id is not None and each.author_id == principal.person_id,
            author_id=each.author_id if principal.is_staff or each.by_staff else None,
            author_name=names.get(each.author_id) if principal.is_staff or each.by_staff else None,
            approved=each.approved_at is not None,
            hidden=each.hidden_at is not None,
            erased=each.erased_at is not None,
            edited_at=each.edited_at,
            version=each.version,
            created_at=each.created_at,
        )
        for each in comments
    ]
