"""Splitting: a part of what was said and wanted in one request becomes a request of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import Origin
from app.features.exceptions import UnknownCommentError, UnknownPersonError
from app.features.models import VOTERS, Comment, Request, Subscription, Vote
from app.features.service import boards, requests, votes
from app.features.service.changes import record
from app.features.service.groups import lock_root, members
from app.identity.principal import Principal

KEPT = {"synchronize_session": False}


async def split(
    session: AsyncSession,
    request_id: UUID,
    *,
    actor: Principal,
    title: str,
    body: str = "",
    comment_ids: Sequence[UUID] = (),
    person_ids: Sequence[UUID] = (),
    keep_votes: bool = False,
) -> Request:
    """A new request on the same board, with these comments and these voters of the group; it.

    Voters keep the date of their vote, and lose the old one unless ``keep_votes``. Errors:
    ``RequestNotFoundError``, ``BoardArchivedError``, ``UnknownCommentError``, ``UnknownPersonError`` (no
    voter of the group).
    """
    root = await lock_root(session, request_id, principal=actor)
    board = await boards.known(session, root.board_id, principal=actor)
    dates = await _dates(session, root, person_ids)
    values = {
        "title": title,
        "body": body,
        "origin": Origin.split_off,
        "split_from_id": root.id,
        "approved_at": datetime.now(UTC),
    }
    made = await requests.insert_one(
        session, board, await requests.cleaned(values), author_id=None, actor=actor
    )
    for person_id, voted_at in sorted(dates.items()):
        await votes.put(session, made, person_id, actor=actor, at=voted_at)
    if dates and not keep_votes:
        await _withdraw(session, root, list(dates))
    await _move(session, root, made, comment_ids)
    await votes.recount(session, root)
    await votes.recount(session, made)
    told = {"split_id": made.id, "voters": len(dates), "comments": len(set(comment_ids))}
    await record(session, "feature_request.split", root, actor=actor, after=told)
    return made


async def _dates(session: AsyncSession, root: Request, person_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Since when each has wanted it."""
    statement = select(VOTERS.c.person_id, VOTERS.c.voted_at).where(
        VOTERS.c.root_id == root.id, VOTERS.c.person_id.in_(person_ids)
    )
    found = {each.person_id: each.voted_at for each in await session.execute(statement)}
    if missing := sorted(set(person_ids) - found.keys()):
        raise UnknownPersonError(f"{missing[0]} has not voted for this request.", field="person_ids")
    return found


async def _withdraw(session: AsyncSession, root: Request, person_ids: Sequence[UUID]) -> None:
    mine = members(root.id)
    for model in (Vote, Subscription):
        gone = delete(model).where(model.person_id.in_(person_ids), model.request_id.in_(mine))
        if model is Subscription:
            gone = gone.where(Subscription.by_vote)
        await session.execute(gone.execution_options(**KEPT))


async def _move(session: AsyncSession, root: Request, made: Request, comment_ids: Sequence[UUID]) -> None:
    """Comments with their answers; an answer that moves without its comment stands for itself there."""
    wanted = set(comment_ids)
    there = select(func.count()).where(Comment.id.in_(wanted), Comment.request_id.in_(members(root.id)))
    if wanted and await session.scalar(there) != len(wanted):
        raise UnknownCommentError("A comment is none of this request's.", field="comment_ids")
    moving = or_(Comment.id.in_(wanted), Comment.parent_id.in_(wanted))
    await session.execute(
        update(Comment)
        .where(Comment.id.in_(wanted), Comment.parent_id.is_not(None), Comment.parent_id.not_in(wanted))
        .values(parent_id=None)
        .execution_options(**KEPT)
    )
    moved = {"request_id": made.id, "official": False}  # what answered the one does not answer the other
    await session.execute(update(Comment).where(moving).values(**moved).execution_options(**KEPT))
    answers = select(Comment.id).where(Comment.request_id == made.id)
    await session.execute(
        update(Request)
        .where(Request.id.in_(members(root.id)), Request.answer_id.in_(answers))
        .values(answer_id=None)
        .execution_options(**KEPT)
    )
