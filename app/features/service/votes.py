"""Votes: one voter one vote over a whole merge group; given and taken back, never toggled.

A vote is cast on the root. One that was cast before a merge stays with its request, so that undoing the merge
gives each request its own voters back. Taking a vote back takes it back everywhere in the group.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.features.constants import CLOSED
from app.features.exceptions import RequestClosedError, RequestLockedError
from app.features.models import VOTERS, Request, Subscription, Vote
from app.features.service import boards
from app.features.service.changes import record
from app.features.service.groups import count_voters, lock_root, members
from app.features.service.people import check_person
from app.identity.principal import Principal


async def cast(
    session: AsyncSession,
    request_id: UUID,
    person_id: UUID,
    *,
    actor: Principal,
    source: Subject | None = None,
    at: datetime | None = None,
) -> Request:
    """Make a person a voter of the request's group, and subscribe them; the root. Again changes nothing.

    ``source``: the ticket or case in which they asked for it; its existence is the caller's to check. ``at``:
    when they voted, of an import. Errors: ``RequestNotFoundError``, ``UnknownPersonError``,
    ``RequestClosedError``, ``RequestLockedError`` (of a customer), ``BoardArchivedError``.
    """
    root = await lock_root(session, request_id, principal=actor)
    if await is_voter(session, root.id, person_id):
        return root
    await check_votable(session, root, actor=actor)
    await check_person(session, person_id, board_id=root.board_id)
    await put(session, root, person_id, actor=actor, source=source, at=at)
    await recount(session, root)
    told = {"voter_id": person_id} | ({"source_type": source.type, "source_id": source.id} if source else {})
    await record(session, "feature_request.voted", root, actor=actor, after=told, person_id=person_id)
    return root


async def withdraw(session: AsyncSession, request_id: UUID, person_id: UUID, *, actor: Principal) -> Request:
    """Take a person's vote back from the whole group, and the subscriptions that came with it; the root.

    Again changes nothing; a closed request lets voters go. Errors: ``RequestNotFoundError``,
    ``BoardArchivedError``.
    """
    root = await lock_root(session, request_id, principal=actor)
    await boards.check_active(session, root.board_id)
    mine = members(root.id)
    gone = await session.execute(
        delete(Vote).where(Vote.person_id == person_id, Vote.request_id.in_(mine)).returning(Vote.request_id)
    )
    if not gone.all():
        return root
    await session.execute(
        delete(Subscription).where(
            Subscription.person_id == person_id, Subscription.request_id.in_(mine), Subscription.by_vote
        )
    )
    await recount(session, root)
    told = {"voter_id": person_id}
    await record(session, "feature_request.unvoted", root, actor=actor, before=told, person_id=person_id)
    return root


async def put(
    session: AsyncSession,
    root: Request,
    person_id: UUID,
    *,
    actor: Principal,
    source: Subject | None = None,
    at: datetime | None = None,
) -> None:
    """The rows of a vote on a locked root, without checks, count and event; those that are there stay."""
    given: dict[str, Any] = {"added_by": actor.person_id if actor.person_id != person_id else None}
    given |= {"source_type": source.type, "source_id": source.id} if source else {}
    given |= {"created_at": at} if at else {}
    vote = insert(Vote).values(request_id=root.id, person_id=person_id, **given)
    await session.execute(vote.on_conflict_do_nothing())
    subscription = insert(Subscription).values(request_id=root.id, person_id=person_id, by_vote=True)
    await session.execute(subscription.on_conflict_do_nothing())


async def is_voter(session: AsyncSession, root_id: UUID, person_id: UUID) -> bool:
    """Whether a person has a vote anywhere in the group."""
    statement = select(exists().where(VOTERS.c.root_id == root_id, VOTERS.c.person_id == person_id))
    return bool(await session.scalar(statement))


async def check_votable(session: AsyncSession, root: Request, *, actor: Principal) -> None:
    """``RequestClosedError``, ``RequestLockedError`` (of a customer), ``BoardArchivedError``."""
    if root.status in CLOSED:
        raise RequestClosedError(f"This request is {root.status}: it takes no votes.", status=root.status)
    if root.locked_at is not None and not actor.is_staff:
        raise RequestLockedError("This request is locked.")
    await boards.check_active(session, root.board_id)


async def recount(session: AsyncSession, root: Request) -> None:
    """Bring the count of a locked root in line with its group's voters.

    Counted anew rather than by one up or down: what is shown is then right by construction.
    """
    counting = update(Request).where(Request.id == root.id)
    counting = counting.values(votes=await count_voters(session, root.id), updated_at=Request.updated_at)
    await session.execute(counting.execution_options(synchronize_session=False))
    await session.refresh(root)
