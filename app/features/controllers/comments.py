"""Comments: who sees a request reads and writes them; the staff answer, note and moderate."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.features.constants import CommentKind
from app.features.exceptions import (
    BoardArchivedError,
    CommentErasedError,
    CommentNotFoundError,
    EmptyCommentError,
    PersonRequiredError,
    RequestLockedError,
    RequestNotFoundError,
    TooManyCommentsError,
    UnknownCommentError,
    UnknownPersonError,
)
from app.features.schemas.comments import FeatureCommentChange, FeatureCommentCreate, FeatureCommentView
from app.features.service import comments
from app.features.service.changes import get as get_one
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

KindFilter = Annotated[CommentKind | None, QueryParameter(name="kind", description="Of this kind.")]
ApprovedFilter = Annotated[
    bool | None, QueryParameter(name="approved", description="Approved, or waiting for it.")
]


class FeatureCommentController(Controller):
    """Comments of one request and of what was merged into it."""

    path = "/requests/{request_id:uuid}/comments"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        operation_id="list_feature_comments",
        opt=documented(listing=comments.COMMENTS, raises=[RequestNotFoundError]),
    )
    async def list_feature_comments(
        self,
        *,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        kind: KindFilter = None,
        approved: ApprovedFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureCommentView]:
        """List what the caller may read, the first first; answers name what they answer."""
        request = await get_one(session, request_id, principal=principal)
        root_id = request.merged_into_id or request.id
        found = await comments.COMMENTS.fetch(
            session,
            comments.listed(principal=principal, root_id=root_id, kind=kind, approved=approved),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"root_id": root_id, "kind": kind, "approved": approved},
        )
        shown = await comments.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @post(
        operation_id="create_feature_comment",
        opt=documented(
            raises=[
                *(RequestNotFoundError, PermissionDeniedError, PersonRequiredError, RequestLockedError),
                *(BoardArchivedError, UnknownCommentError, UnknownPersonError, TooManyCommentsError),
                EmptyCommentError,
            ]
        ),
    )
    async def create_feature_comment(
        self,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureCommentCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureCommentView:
        """Comment on a request, or answer a comment. On a moderated board a customer's waits for approval."""
        made = await comments.add(session, request_id, actor=principal, **structs.asdict(data))
        return await comments.show(session, made, principal=principal)

    @patch(
        "/{comment_id:uuid}",
        operation_id="update_feature_comment",
        opt=documented(
            raises=[
                *(RequestNotFoundError, CommentNotFoundError, PermissionDeniedError, CommentErasedError),
                *(RequestLockedError, BoardArchivedError, EmptyCommentError, UnknownCommentError),
            ]
        ),
    )
    async def update_feature_comment(
        self,
        *,
        request_id: FromPath[UUID],
        comment_id: FromPath[UUID],
        data: JSONBody[FeatureCommentChange],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureCommentView:
        """Change a comment's words, its author; approve, hide or make it the answer, the staff."""
        changed = await comments.edit(
            session, request_id, comment_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return await comments.show(session, changed, principal=principal)

    @delete(
        "/{comment_id:uuid}",
        operation_id="delete_feature_comment",
        opt=documented(
            raises=[RequestNotFoundError, CommentNotFoundError, PermissionDeniedError, BoardArchivedError]
        ),
    )
    async def delete_feature_comment(
        self,
        request_id: FromPath[UUID],
        comment_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Take a comment's words away for good. Its place stays, since others answered it."""
        await comments.remove(session, request_id, comment_id, actor=principal, expected=expected)


class FeatureModerationController(Controller):
    """What waits for approval, on all boards."""

    path = "/comments"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_all_feature_comments", opt=documented(listing=comments.COMMENTS))
    async def list_all_feature_comments(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        kind: KindFilter = None,
        approved: ApprovedFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureCommentView]:
        """List comments of all requests; with `approved=false` those that wait for the staff."""
        found = await comments.COMMENTS.fetch(
            session,
            comments.listed(principal=principal, kind=kind, approved=approved),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"kind": kind, "approved": approved},
        )
        shown = await comments.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)
