"""Tickets and cases that ask for a request: links that live with the desk that points, known by id only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.features.constants import SUBJECT_TYPE
from app.features.desk import Desk
from app.features.exceptions import (
    NotLinkableError,
    RequestClosedError,
    UnknownPersonError,
    UnknownReferenceError,
)
from app.features.models import Quote, Request
from app.features.schemas.comments import FeatureLinkView
from app.features.service import boards, quotes, votes
from app.features.service.changes import get, lock, subject_of
from app.features.service.groups import members
from app.identity.principal import Principal
from app.knowledge import OpenWork, Pointing, WorkItem
from app.listing import among

NO_REQUESTER = "no_requester"
# Why who asked for it does not become a voter; the link stands all the same.
NO_VOTE = (RequestClosedError, UnknownPersonError)


@dataclass(frozen=True, slots=True)
class Linked:
    """A link, and what came along with it. ``no_vote``: the code of why nobody became a voter."""

    request_id: UUID
    item: WorkItem
    voted: bool
    no_vote: str | None
    quotes: Sequence[Quote]


async def linked(
    session: AsyncSession, desk: Desk, request_ids: Sequence[UUID], *, principal: Principal
) -> dict[UUID, list[FeatureLinkView]]:
    """By root: what points to it or to what was merged into it, each thing once."""
    statement = select(Request.id, Request.merged_into_id).where(
        or_(among(Request.id, request_ids), among(Request.merged_into_id, request_ids))
    )
    roots = {each.id: each.merged_into_id or each.id for each in await session.execute(statement)}
    found: dict[UUID, dict[tuple[str, UUID], FeatureLinkView]] = {each: {} for each in request_ids}
    for work in desk.open_work:
        pointing = await work.linked(session, sorted(roots), SUBJECT_TYPE, principal=principal)
        for request_id, items in sorted(pointing.items()):
            for item in items:
                there = found.setdefault(roots[request_id], {})
                there.setdefault((item.type, item.id), show(request_id, item))
    return {root: list(items.values()) for root, items in found.items()}


async def of(
    session: AsyncSession, desk: Desk, request_id: UUID, *, principal: Principal
) -> list[FeatureLinkView]:
    """What points to the group of a request; ``RequestNotFoundError``."""
    request = await get(session, request_id, principal=principal)
    root_id = request.merged_into_id or request.id
    return (await linked(session, desk, [root_id], principal=principal))[root_id]


async def link(
    session: AsyncSession, desk: Desk, request_id: UUID, case: Subject, *, vote: bool, actor: Principal
) -> Linked:
    """Let a ticket or case point to a request; who asked for it votes, and what they said is quoted.

    The case is locked before the request, as erasures do. Again changes nothing. Errors:
    ``RequestNotFoundError``, ``BoardArchivedError``, ``UnknownReferenceError``, ``NotLinkableError``.
    """
    request = await get(session, request_id, principal=actor)
    work, item = await _found(session, desk, case, principal=actor)
    proposed = await quotes.propose(session, desk, request, case)
    _check(await work.point(session, case, subject_of(request.id), principal=actor))
    no_vote = None
    if vote:
        no_vote = await _vote(session, request, item, case, actor=actor)
    request = await lock(session, request_id, principal=actor)
    await boards.check_active(session, request.board_id)
    room = await quotes.room(session, request)
    kept = await quotes.keep(session, request, case, proposed[:room], actor=actor)
    return Linked(request.id, item, voted=vote and no_vote is None, no_vote=no_vote, quotes=kept)


async def unlink(
    session: AsyncSession, desk: Desk, request_id: UUID, case: Subject, *, actor: Principal
) -> None:
    """Take the link of a ticket or case to the group of a request away; votes and quotes stay.

    Again changes nothing. Errors: ``RequestNotFoundError``, ``UnknownReferenceError``, ``NotLinkableError``.
    """
    request = await get(session, request_id, principal=actor)
    work, _ = await _found(session, desk, case, principal=actor)
    for each in sorted(await session.scalars(members(request.merged_into_id or request.id))):
        _check(await work.unpoint(session, case, subject_of(each), principal=actor))


def show(request_id: UUID, item: WorkItem) -> FeatureLinkView:
    """A link."""
    return FeatureLinkView(
        request_id=request_id,
        type=item.type,
        id=item.id,
        number=item.number,
        title=item.title,
        status=item.status,
        is_open=item.is_open,
        account_id=item.account_id,
        issue_id=item.issue_id,
    )


async def _found(
    session: AsyncSession, desk: Desk, case: Subject, *, principal: Principal
) -> tuple[OpenWork, WorkItem]:
    for work in desk.open_work:
        item = await work.item(session, case, principal=principal)
        if item is not None:
            return work, item
    raise UnknownReferenceError("There is no such ticket or case.", field="id")


def _check(outcome: Pointing) -> None:
    if outcome is Pointing.unknown:
        raise UnknownReferenceError("This is no ticket or case that could be linked.", field="id")
    if outcome is not Pointing.done:
        raise NotLinkableError(f"The case cannot be linked: it is {outcome}.", reason=outcome)


async def _vote(
    session: AsyncSession, request: Request, item: WorkItem, case: Subject, *, actor: Principal
) -> str | None:
    if item.requester_id is None:
        return NO_REQUESTER
    try:
        await votes.cast(session, request.id, item.requester_id, actor=actor, source=case)
    except NO_VOTE as error:
        return error.code
    return None
