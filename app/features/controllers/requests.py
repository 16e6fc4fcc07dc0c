"""Requests: everybody who sees the board makes and reads them; the staff work on them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.features.constants import TAG_MAX, FeatureStatus
from app.features.desk import Desk
from app.features.exceptions import (
    BoardArchivedError,
    EmptyCommentError,
    InvalidRequestTransitionError,
    LikelyDuplicateError,
    RequestClosedError,
    RequestExistsError,
    RequestLockedError,
    RequestMergedError,
    RequestNotFoundError,
    TooManyCommentsError,
    UnknownBoardError,
    UnknownPersonError,
)
from app.features.schemas.requests import (
    FeatureRequestChange,
    FeatureRequestCreate,
    FeatureRequestMove,
    FeatureRequestView,
)
from app.features.service import requests, showing, transitions
from app.features.service.changes import get as get_one
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

BoardFilter = Annotated[list[UUID] | None, several("board_id", "On this board.")]
StatusFilter = Annotated[list[FeatureStatus] | None, several("status", "Of this status.")]
TagFilter = Annotated[list[str] | None, several("tag", f"With this tag, of {TAG_MAX} letters at most.")]
AuthorFilter = Annotated[UUID | None, QueryParameter(name="author_id", description="Written by this person.")]
VoterFilter = Annotated[
    UUID | None,
    QueryParameter(name="voter_id", description="Voted for by this person; of customers, themselves."),
]
ApprovedFilter = Annotated[
    bool | None, QueryParameter(name="approved", description="Approved, or waiting for it.")
]
HiddenFilter = Annotated[bool | None, QueryParameter(name="hidden", description="Hidden by the staff.")]
MergedFilter = Annotated[
    bool, QueryParameter(name="merged", description="Also what was merged into other requests.")
]


class FeatureRequestController(Controller):
    """Requests."""

    path = "/requests"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_feature_request",
        opt=documented(
            raises=[
                PermissionDeniedError,
                UnknownBoardError,
                BoardArchivedError,
                UnknownPersonError,
                RequestExistsError,
                LikelyDuplicateError,
                RequestClosedError,
                RequestLockedError,
            ]
        ),
    )
    async def create_feature_request(
        self,
        data: JSONBody[FeatureRequestCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
    ) -> FeatureRequestView:
        """Make a request, which its author votes for; or vote for the one that there is already."""
        made = await requests.create(session, features, actor=principal, **structs.asdict(data))
        return await showing.show(session, made.request, principal=principal)

    @get(operation_id="list_feature_requests", opt=documented(listing=requests.REQUESTS))
    async def list_feature_requests(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        board_id: BoardFilter = None,
        status: StatusFilter = None,
        tag: TagFilter = None,
        author_id: AuthorFilter = None,
        voter_id: VoterFilter = None,
        approved: ApprovedFilter = None,
        hidden: HiddenFilter = None,
        merged: MergedFilter = False,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureRequestView]:
        """List requests that the caller may see, those with the most voters first."""
        if not principal.is_staff:
            # Who wrote and who voted is each customer's own to know.
            author_id = None if author_id is None else principal.person_id or UUID(int=0)
            voter_id = None if voter_id is None else principal.person_id or UUID(int=0)
        found = await requests.REQUESTS.fetch(
            session,
            requests.listed(
                principal=principal,
                boards=board_id,
                statuses=status,
                tags=tag,
                author_id=author_id,
                voter_id=voter_id,
                approved=approved,
                hidden=hidden,
                merged=merged,
                created_after=created_after,
                created_before=created_before,
            ),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={
                "board_id": board_id,
                "status": status,
                "tag": tag,
                "author_id": author_id,
                "voter_id": voter_id,
                "approved": approved,
                "hidden": hidden,
                "merged": merged,
                "created_after": created_after,
                "created_before": created_before,
            },
        )
        shown = await showing.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{request_id:uuid}",
        operation_id="get_feature_request",
        opt=documented(raises=[RequestNotFoundError], conditional=False),
    )
    async def get_feature_request(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureRequestView:
        """Get a request. A merged one says into which."""
        request = await get_one(session, request_id, principal=principal)
        return await showing.show(session, request, principal=principal)

    @patch(
        "/{request_id:uuid}",
        operation_id="update_feature_request",
        opt=documented(
            raises=[
                *(RequestNotFoundError, RequestMergedError, UnknownBoardError, BoardArchivedError),
                *(PermissionDeniedError, RequestExistsError),
            ]
        ),
    )
    async def update_feature_request(
        self,
        *,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureRequestChange],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureRequestView:
        """Change a request or moderate it: approve, hide, lock. Authors change their words while they may."""
        request = await requests.change(
            session, request_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return await showing.show(session, request, principal=principal)

    @post(
        "/{request_id:uuid}/transitions",
        operation_id="move_feature_request",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                RequestNotFoundError,
                RequestMergedError,
                BoardArchivedError,
                InvalidRequestTransitionError,
                TooManyCommentsError,
                EmptyCommentError,
            ]
        ),
    )
    async def move_feature_request(
        self,
        *,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureRequestMove],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureRequestView:
        """Move a request to another status. Its subscribers are told when it has stood for some minutes."""
        moved = await transitions.move(
            session,
            request_id,
            data.to,
            actor=principal,
            answer=data.answer,
            expected=expected,
        )
        return await showing.show(session, moved, principal=principal)
