"""Public boards for anybody, without a key: to be shown on a website and kept by caches in between."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import SLUG_MAX, BoardVisibility
from app.features.controllers.requests import StatusFilter, TagFilter
from app.features.exceptions import BoardNotFoundError, RequestNotFoundError
from app.features.models import Board
from app.features.schemas.public import (
    PublicBoardView,
    PublicCommentView,
    PublicReleaseView,
    PublicRequestDetail,
    PublicRequestView,
    PublicRoadmapView,
)
from app.features.service import boards, public
from app.features.service.access import boards_of
from app.features.service.requests import listed
from app.identity import PUBLIC
from app.listing import Sort
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import is_unmodified

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]

DIGEST = 16  # bytes
# A minute late at most, and up to five more while a cache asks for the new one (RFC 5861). The answer is the
# same whoever asks, so it varies by nothing; there are no cookies, and pages of any origin may read it.
HEADERS = {
    "Cache-Control": "public, max-age=60, stale-while-revalidate=300",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
DECLARED = {
    "Cache-Control": "How long caches may keep it.",
    "ETag": "Of the content: with it in `If-None-Match` what is unchanged is answered 304, without a body.",
}
OF_BOARD = {PUBLIC: True} | documented(raises=[BoardNotFoundError], headers=DECLARED)
OF_REQUEST = {PUBLIC: True} | documented(raises=[RequestNotFoundError], headers=DECLARED)

Slug = Annotated[
    str,
    PathParameter(
        name="slug",
        description="The board's name in addresses.",
        max_length=SLUG_MAX,
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
    ),
]
Number = Annotated[
    str,
    PathParameter(name="number", description="What people call it: `FEA-3`.", max_length=64),
]


class FeaturePublicController(Controller):
    """Boards of the visibility ``public``."""

    path = "/public"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        "/boards",
        operation_id="list_public_boards",
        opt={PUBLIC: True} | documented(listing=boards.BOARDS, headers=DECLARED),
    )
    async def list_public_boards(
        self,
        *,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response[Page[PublicBoardView]]:
        """List public boards. Without a key."""
        found = await boards.BOARDS.fetch(
            session,
            select(Board).where(boards_of(None)),
            sort=sort,
            limit=limit,
            cursor=cursor,
            filters={"visibility": [BoardVisibility.public], "key": "none"},
        )
        return _cached(request, found.page(public.show_board))

    @get("/boards/{slug:str}", operation_id="get_public_board", opt=OF_BOARD)
    async def get_public_board(
        self, slug: Slug, request: AnyRequest, session: NamedDependency[AsyncSession]
    ) -> Response[PublicBoardView]:
        """Get a public board. Without a key."""
        return _cached(request, public.show_board(await public.board_named(session, slug)))

    @get(
        "/boards/{slug:str}/requests",
        operation_id="list_public_requests",
        opt={PUBLIC: True} | documented(raises=[BoardNotFoundError], listing=public.LISTED, headers=DECLARED),
    )
    async def list_public_requests(
        self,
        *,
        slug: Slug,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        status: StatusFilter = None,
        tag: TagFilter = None,
        sort: Sort = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response[Page[PublicRequestView]]:
        """List the requests of a public board, those with the most voters first. Without a key."""
        board = await public.board_named(session, slug)
        found = await public.LISTED.fetch(
            session,
            listed(principal=None, boards=[board.id], statuses=status, tags=tag),
            sort=sort,
            limit=limit,
            cursor=cursor,
            filters={"board": board.id, "status": status, "tag": tag},
        )
        shown = await public.show_all(session, found.rows)
        return _cached(request, Page(items=shown, next_cursor=found.next_cursor))

    @get("/boards/{slug:str}/roadmap", operation_id="get_public_roadmap", opt=OF_BOARD)
    async def get_public_roadmap(
        self, slug: Slug, request: AnyRequest, session: NamedDependency[AsyncSession]
    ) -> Response[PublicRoadmapView]:
        """Get what is planned, in progress and shipped on a public board. Without a key."""
        board = await public.board_named(session, slug)
        return _cached(request, await public.roadmap(session, board))

    @get(
        "/boards/{slug:str}/releases",
        operation_id="list_public_releases",
        opt={PUBLIC: True}
        | documented(raises=[BoardNotFoundError], listing=public.SHIPPED, headers=DECLARED),
    )
    async def list_public_releases(
        self,
        *,
        slug: Slug,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response[Page[PublicReleaseView]]:
        """List the changelog of a public board: its shipped releases, the latest first. Without a key."""
        board = await public.board_named(session, slug)
        found = await public.SHIPPED.fetch(
            session,
            public.releases(board),
            sort=sort,
            limit=limit,
            cursor=cursor,
            filters={"board": board.id},
        )
        shown = await public.show_releases(session, found.rows)
        return _cached(request, Page(items=shown, next_cursor=found.next_cursor))

    @get("/requests/{number:str}", operation_id="get_public_request", opt=OF_REQUEST)
    async def get_public_request(
        self, number: Number, request: AnyRequest, session: NamedDependency[AsyncSession]
    ) -> Response[PublicRequestDetail]:
        """Get a request of a public board, with its comments; of a merged one, what it was merged into.

        Without a key.
        """
        found = await public.request_numbered(session, number)
        return _cached(request, await public.detail(session, found))

    @get(
        "/requests/{number:str}/comments",
        operation_id="list_public_comments",
        opt={PUBLIC: True}
        | documented(raises=[RequestNotFoundError], listing=public.COMMENTS, headers=DECLARED),
    )
    async def list_public_comments(
        self,
        *,
        number: Number,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response[Page[PublicCommentView]]:
        """List all comments of a request that everybody may read, oldest first. Without a key."""
        of = await public.request_numbered(session, number)
        found = await public.COMMENTS.fetch(
            session,
            public.comments([of.id]),
            sort=sort,
            limit=limit,
            cursor=cursor,
            filters={"request": of.id},
        )
        return _cached(request, found.page(public.show_comment))


def _cached(request: AnyRequest, content: T) -> Response[T]:
    """The answer with what caches need; 304 for a reader who has it."""
    digest = hashlib.blake2b(msgspec.json.encode(content), digest_size=DIGEST)
    headers = HEADERS | {"ETag": f'"{digest.hexdigest()}"'}
    if is_unmodified(request, headers["ETag"]):
        unchanged: Response[Any] = Response(None, status_code=304, headers=headers)
        return unchanged
    return Response(content, headers=headers)
