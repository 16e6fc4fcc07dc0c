"""Requests as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import FeatureStatus, Origin
from app.features.models import VOTERS, Board, Comment, Request
from app.features.schemas.requests import FeatureRequestView, RequestBrief
from app.features.service.access import requests_of
from app.features.service.comments import comments_of
from app.features.utils.numbers import REQUESTS
from app.identity.principal import Principal


async def show(session: AsyncSession, request: Request, *, principal: Principal | None) -> FeatureRequestView:
    """One request."""
    return (await show_all(session, [request], principal=principal))[0]


async def show_all(
    session: AsyncSession, requests: Sequence[Request], *, principal: Principal | None
) -> list[FeatureRequestView]:
    """Requests as a caller sees them, or everybody; in some queries however many there are."""
    roots = {each.id: each.merged_into_id or each.id for each in requests}
    boards = await _boards(session, {each.board_id for each in requests})
    targets = await _briefs(session, {each.merged_into_id for each in requests} - {None}, principal)
    mine = await voted(session, set(roots.values()), principal)
    comments = await _comments(session, set(roots.values()), principal)
    merged = await _merged(session, list(roots))
    return [
        _view(
            each,
            principal,
            label=label_of(boards[each.board_id], each.status),
            target=targets.get(each.merged_into_id) if each.merged_into_id else None,
            voted=roots[each.id] in mine,
            comments=comments.get(roots[each.id], 0),
            merged=merged.get(each.id, 0),
        )
        for each in requests
    ]


def brief(request: Request) -> RequestBrief:
    """A request in a few words."""
    return RequestBrief(
        id=request.id,
        number=REQUESTS.shown(request.number),
        title=request.title,
        status=FeatureStatus(request.status),
        votes=request.votes,
    )


def label_of(board: Board, status: str) -> str:
    """What a board's readers call a status."""
    return str(board.labels.get(status, status.replace("_", " ").capitalize()))


async def _boards(session: AsyncSession, board_ids: set[UUID]) -> dict[UUID, Board]:
    found = await session.scalars(select(Board).where(Board.id.in_(board_ids)))
    return {each.id: each for each in found}


async def _briefs(
    session: AsyncSession, request_ids: set[UUID | None], principal: Principal | None
) -> dict[UUID, RequestBrief]:
    """Those that the caller may see: a target may be hidden from who sees what was merged into it."""
    statement = select(Request).where(Request.id.in_(request_ids), requests_of(principal))
    found = await session.scalars(statement)
    return {each.id: brief(each) for each in found}


async def voted(session: AsyncSession, roots: set[UUID], principal: Principal | None) -> set[UUID]:
    """Those of these roots that the caller votes for."""
    if principal is None or principal.person_id is None:
        return set()
    statement = select(VOTERS.c.root_id).where(
        VOTERS.c.root_id.in_(roots), VOTERS.c.person_id == principal.person_id
    )
    return set(await session.scalars(statement))


async def _comments(session: AsyncSession, roots: set[UUID], principal: Principal | None) -> dict[UUID, int]:
    root = func.coalesce(Request.merged_into_id, Request.id)
    statement = (
        select(root.label("root"), func.count(Comment.id).label("comments"))
        .join(Comment, Comment.request_id == Request.id)
        .where(root.in_(roots), comments_of(principal), Comment.erased_at.is_(None))
        .group_by(root)
    )
    return {each.root: each.comments for each in await session.execute(statement)}


async def _merged(session: AsyncSession, request_ids: Sequence[UUID]) -> dict[UUID, int]:
    statement = (
        select(Request.merged_into_id, func.count())
        .where(Request.merged_into_id.in_(request_ids))
        .group_by(Request.merged_into_id)
    )
    return {root: count for root, count in await session.execute(statement) if root is not None}


def _view(
    request: Request,
    principal: Principal | None,
    *,
    label: str,
    target: RequestBrief | None,
    voted: bool,
    comments: int,
    merged: int,
) -> FeatureRequestView:
    is_staff = principal is not None and principal.is_staff
    is_author = principal is not None and request.author_id is not None
    is_author = is_author and principal is not None and request.author_id == principal.person_id
    return FeatureRequestView(
        id=request.id,
        number=REQUESTS.shown(request.number),
        board_id=request.board_id,
        title=request.title,
        body=request.body,
        body_html=request.body_html,
        status=FeatureStatus(request.status),
        label=label,
        tags=list(request.tags),
        votes=request.votes if target is None else target.votes,
        voted=voted,
        comments=comments,
        author_id=request.author_id if is_staff or is_author else None,
        account_id=request.account_id if is_staff else None,
        origin=Origin(request.origin),
        external_id=request.external_id if is_staff else None,
        planned_for=request.planned_for,
        approved=request.approved_at is not None,
        hidden=request.hidden_at is not None,
        locked=request.locked_at is not None,
        merged_into=target,
        merged_count=merged,
        split_from_id=request.split_from_id if is_staff else None,
        answer_id=request.answer_id,
        status_changed_at=request.status_changed_at,
        shipped_at=request.shipped_at,
        version=request.version,
        created_at=request.created_at,
        updated_at=request.updated_at,
    )
