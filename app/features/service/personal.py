"""What the desk knows of a person: handed out, or taken away.

What others did stays: a request that somebody wrote keeps its votes, a comment its answers, without words.
Who gave a vote on somebody's behalf or merged a request stays by id: that of a person without a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, delete, func, select, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events, matching
from app.features.models import Comment, Notice, NoticePreference, Request, Subscription, Vote
from app.features.service import votes
from app.features.service.changes import FRESH, record, subject_of
from app.features.service.groups import one_at_a_time
from app.identity.principal import SYSTEM

ERASED = "(erased)"
Rows = Mapping[str, Sequence[Mapping[str, Any]]]

REQUESTS = (
    *(Request.id, Request.number, Request.board_id, Request.title, Request.body, Request.status),
    *(Request.external_id, Request.created_at),
)
COMMENTS = (Comment.id, Comment.request_id, Comment.kind, Comment.body, Comment.created_at)
VOTES = (Vote.request_id, Vote.source_type, Vote.source_id, Vote.created_at)
SUBSCRIPTIONS = (
    *(Subscription.request_id, Subscription.status, Subscription.comments),
    *(Subscription.by_vote, Subscription.created_at),
)
NOTICES = (
    *(Notice.id, Notice.kind, Notice.request_id, Notice.release_id, Notice.read_at, Notice.mailed_at),
    Notice.created_at,
)
PREFERENCES = (NoticePreference.email, NoticePreference.digest, NoticePreference.updated_at)


@dataclass(slots=True)
class FeaturesData:
    """``knowledge.PersonalData``: what somebody asked for, said, voted for, and wants to hear."""

    name: str = "features"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Lock the requests that are theirs, or that they vote for or listen to: these are locked before
        their people, by everybody. Which is merged into which stays as it is until the erasure is over."""
        await one_at_a_time(session)
        await _lock(session, person_id)

    async def export(self, session: AsyncSession, person_id: UUID) -> Rows:
        """Everything of theirs, by its kind."""
        of = {
            "requests": select(*REQUESTS).where(Request.author_id == person_id).order_by(Request.id),
            "comments": select(*COMMENTS).where(Comment.author_id == person_id).order_by(Comment.id),
            "votes": select(*VOTES).where(Vote.person_id == person_id).order_by(Vote.request_id),
            "subscriptions": select(*SUBSCRIPTIONS)
            .where(Subscription.person_id == person_id)
            .order_by(Subscription.request_id),
            "notices": select(*NOTICES).where(Notice.person_id == person_id).order_by(Notice.id),
            "notice_preferences": select(*PREFERENCES).where(NoticePreference.person_id == person_id),
        }
        found = {kind: (await session.execute(statement)).mappings() for kind, statement in of.items()}
        return {kind: [msgspec.to_builtins(dict(row)) for row in rows] for kind, rows in found.items()}

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Votes and subscriptions go, with what they count for; requests and comments lose their words."""
        locked = await _lock(session, person_id)
        gone = {"votes": await _take_votes(session, locked, person_id)}
        for kind, model in (
            ("subscriptions", Subscription),
            ("notices", Notice),
            ("notice_preferences", NoticePreference),
        ):
            deleted = await session.execute(
                delete(model).where(model.person_id == person_id).returning(model.person_id)
            )
            gone[kind] = len(deleted.all())
        gone["comments"] = await _empty_comments(session, person_id)
        return gone | await _empty_requests(session, person_id)


def _theirs(person_id: UUID) -> Any:
    return union(
        select(Vote.request_id).where(Vote.person_id == person_id),
        select(Subscription.request_id).where(Subscription.person_id == person_id),
        select(Request.id).where(Request.author_id == person_id),
    )


async def _lock(session: AsyncSession, person_id: UUID) -> Sequence[Request]:
    """Roots of what is theirs, locked; and their own requests that were merged into others."""
    root = func.coalesce(Request.merged_into_id, Request.id)
    roots = select(root).where(Request.id.in_(_theirs(person_id)))
    locked = await _locked(session, select(Request).where(Request.id.in_(roots)))
    merged = select(Request).where(Request.author_id == person_id, Request.merged_into_id.is_not(None))
    await _locked(session, merged)
    return locked


async def _locked(session: AsyncSession, statement: Select[Request]) -> Sequence[Request]:
    ordered = statement.order_by(Request.id).with_for_update(key_share=True)
    return (await session.scalars(ordered, execution_options=FRESH)).all()


async def _take_votes(session: AsyncSession, locked: Sequence[Request], person_id: UUID) -> int:
    """How many groups they voted in; each counts its voters anew."""
    taking = delete(Vote).where(Vote.person_id == person_id).returning(Vote.request_id)
    taken = set(await session.scalars(taking))
    roots = select(func.coalesce(Request.merged_into_id, Request.id)).where(Request.id.in_(taken))
    poorer = set(await session.scalars(roots)) if taken else set()
    for root in locked:
        if root.id in poorer:
            await votes.recount(session, root)
            before = {"voter_id": person_id}
            await record(
                session, "feature_request.unvoted", root, actor=SYSTEM, before=before, person_id=person_id
            )
    return len(poorer)


async def _empty_comments(session: AsyncSession, person_id: UUID) -> int:
    """Without words they keep their places: others answered them."""
    emptying = (
        update(Comment)
        .where(Comment.author_id == person_id)
        .values(
            body="",
            body_html="",
            author_id=None,
            erased_at=func.coalesce(Comment.erased_at, func.now()),
            version=Comment.version + 1,
        )
        .returning(Comment.id, Comment.request_id)
        .execution_options(synchronize_session=False)
    )
    emptied: dict[UUID, list[UUID]] = {}
    for row in await session.execute(emptying):
        emptied.setdefault(row.request_id, []).append(row.id)
    found = await session.scalars(select(Request).where(Request.id.in_(emptied)).order_by(Request.id))
    for request in found.all():
        after = {"comment_ids": sorted(emptied[request.id])}
        await record(
            session,
            "feature_request.comments_erased",
            request,
            actor=SYSTEM,
            after=after,
            customer_visible=False,
        )
    return sum(map(len, emptied.values()))


async def _empty_requests(session: AsyncSession, person_id: UUID) -> dict[str, int]:
    """What remains is told by one more event. Those before it name what another system called the request,
    which may be personal: they say nothing any more where there is such a name."""
    mine = select(Request).where(Request.author_id == person_id)
    theirs, emptied = await _locked(session, mine), 0
    for request in theirs:
        await matching.remove(session, subject_of(request.id))
        if request.external_id is not None:
            emptied += await events.forget(session, subject_of(request.id))
        await _empty(session, request)
    if theirs:
        await matching.forget_words(session)
    return {"requests": len(theirs), "events": emptied}


async def _empty(session: AsyncSession, request: Request) -> None:
    statement = (
        update(Request)
        .where(Request.id == request.id)
        .values(
            title=ERASED,
            body="",
            body_html="",
            author_id=None,
            external_id=None,
            version=Request.version + 1,
            updated_at=func.now(),
        )
        .returning(Request)
    )
    left = (await session.scalars(statement, execution_options=FRESH)).one()
    after = {"status": left.status, "number": left.number, "version": left.version}
    await record(session, "feature_request.erased", left, actor=SYSTEM, after=after)
