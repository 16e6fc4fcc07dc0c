"""What anybody may read, without a key: public boards, and on them what was approved and is not hidden.

One rule decides, ``access`` without a caller. Merged requests are told as their roots.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import FeatureStatus
from app.features.exceptions import BoardNotFoundError, RequestNotFoundError
from app.features.models import Board, Comment, Release, ReleaseRequest, Request
from app.features.schemas.public import (
    PublicBoardView,
    PublicCommentView,
    PublicReleaseView,
    PublicRequestBrief,
    PublicRequestDetail,
    PublicRequestView,
    PublicRoadmapColumn,
    PublicRoadmapView,
)
from app.features.service import showing
from app.features.service.access import boards_of, requests_of
from app.features.service.comments import comments_of
from app.features.service.roadmap import columns
from app.features.utils.numbers import RELEASES, REQUESTS
from app.listing import Listing

FIRST_COMMENTS = 100  # that come with a request
COLUMN_MAX = 100  # requests of one status on a roadmap
ROOT = func.coalesce(Request.merged_into_id, Request.id)

LISTED = Listing(Request, sorts={"votes": Request.votes, "created_at": Request.created_at}, default="-votes")
SHIPPED = Listing(
    Release, sorts={"shipped_at": Release.shipped_at}, default="-shipped_at", never_null=["shipped_at"]
)
COMMENTS = Listing(Comment, sorts={"created_at": Comment.created_at}, default="created_at")


async def board_named(session: AsyncSession, slug: str) -> Board:
    """A public board; ``BoardNotFoundError`` also for those of other visibilities."""
    found = await session.scalar(select(Board).where(Board.slug == slug, boards_of(None)))
    if found is None:
        raise BoardNotFoundError("There is no such board.")
    return found


async def request_numbered(session: AsyncSession, number: str) -> Request:
    """The root of the request with this number, ``FEA-3``; ``RequestNotFoundError`` also when either of them
    is not public."""
    parsed = REQUESTS.parse(number)
    named = select(ROOT).where(Request.number == parsed, requests_of(None)).scalar_subquery()
    statement = select(Request).where(Request.id == named, requests_of(None))
    found = None if parsed is None else await session.scalar(statement)
    if found is None:
        raise RequestNotFoundError("There is no such request.")
    return found


def show_board(board: Board) -> PublicBoardView:
    """A board."""
    return PublicBoardView(
        slug=board.slug,
        name=board.name,
        description=board.description,
        labels={FeatureStatus(status): label for status, label in board.labels.items()},
        archived=board.archived_at is not None,
    )


async def show_all(session: AsyncSession, requests: Sequence[Request]) -> list[PublicRequestView]:
    """Roots, as everybody sees them."""
    counts = await _counts(session, [each.id for each in requests])
    return [
        PublicRequestView(
            id=each.id,
            number=each.number,
            title=each.title,
            body_html=each.body_html,
            status=each.status,
            label=each.label,
            tags=each.tags,
            votes=each.votes,
            comments=counts.get(each.id, 0),
            planned_for=each.planned_for,
            created_at=each.created_at,
            status_changed_at=each.status_changed_at,
            shipped_at=each.shipped_at,
        )
        for each in await showing.show_all(session, requests, principal=None)
    ]


async def detail(session: AsyncSession, request: Request) -> PublicRequestDetail:
    """A root with its board and its first comments."""
    board = await session.get_one(Board, request.board_id)
    shown = await show_all(session, [request])
    first = comments([request.id]).order_by(Comment.created_at, Comment.id).limit(FIRST_COMMENTS)
    answer = await session.scalar(comments([request.id]).where(Comment.id == request.answer_id))
    return PublicRequestDetail(
        board=show_board(board),
        request=shown[0],
        answer=None if answer is None else show_comment(answer),
        comments=[show_comment(each) for each in await session.scalars(first)],
    )


def comments(root_ids: Sequence[UUID]) -> Select[Comment]:
    """Comments that everybody may read, of groups."""
    return (
        select(Comment)
        .join(Request, Request.id == Comment.request_id)
        .where(ROOT.in_(root_ids), requests_of(None), comments_of(None))
    )


def show_comment(comment: Comment) -> PublicCommentView:
    """A comment."""
    erased = comment.erased_at is not None
    return PublicCommentView(
        id=comment.id,
        parent_id=comment.parent_id,
        by_staff=comment.by_staff,
        official=comment.official,
        body_html="" if erased else comment.body_html,
        erased=erased,
        edited=comment.edited_at is not None,
        created_at=comment.created_at,
    )


async def roadmap(session: AsyncSession, board: Board) -> PublicRoadmapView:
    """What a board's staff plan, work on and have shipped."""
    found = await columns(session, principal=None, boards=[board.id], limit=COLUMN_MAX)
    shown = [
        PublicRoadmapColumn(
            status=each.status,
            label=showing.label_of(board, each.status),
            items=await show_all(session, each.requests),
            total=each.total,
        )
        for each in found
    ]
    return PublicRoadmapView(board=show_board(board), columns=shown)


def releases(board: Board) -> Select[Release]:
    """What shipped on a board."""
    return select(Release).where(Release.board_id == board.id, Release.shipped_at.is_not(None))


async def show_releases(session: AsyncSession, found: Sequence[Release]) -> list[PublicReleaseView]:
    """Releases, each with what it shipped that everybody may read."""
    statement = (
        select(ReleaseRequest.release_id, Request.number, Request.title)
        .join(Request, Request.id == ReleaseRequest.request_id)
        .where(ReleaseRequest.release_id.in_([each.id for each in found]))
        .where(requests_of(None), Request.merged_into_id.is_(None))
        .order_by(ReleaseRequest.position, Request.number)
    )
    shipped: dict[UUID, list[PublicRequestBrief]] = {}
    for row in await session.execute(statement):
        brief = PublicRequestBrief(number=REQUESTS.shown(row.number), title=row.title)
        shipped.setdefault(row.release_id, []).append(brief)
    return [
        PublicReleaseView(
            number=RELEASES.shown(each.number),
            title=each.title,
            label=each.label,
            body_html=each.body_html,
            shipped_at=each.shipped_at,
            requests=shipped.get(each.id, []),
        )
        for each in found
        if each.shipped_at is not None
    ]


async def _counts(session: AsyncSession, root_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Comments by root; erased ones, which say nothing, are not counted."""
    counting = (
        comments(root_ids)
        .where(Comment.erased_at.is_(None))
        .with_only_columns(ROOT.label("root"), func.count(Comment.id).label("comments"))
        .group_by(ROOT)
    )
    return {row.root: row.comments for row in await session.execute(counting)}
