"""Subscriptions: what a person wants to hear of a merge group.

What the person said of the root counts; where they said nothing of it, what they said of any request that was
merged into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.models import Request, Subscription
from app.features.service.changes import get, record
from app.features.service.groups import lock_root, members
from app.features.service.people import check_person, own_id
from app.identity.models import Person
from app.identity.principal import Principal

ROOT = func.coalesce(Request.merged_into_id, Request.id)


class Wanted(NamedTuple):
    """What somebody wants to hear of a group."""

    request_id: UUID  # of the root
    status: bool
    comments: bool


def wanting(root_ids: Sequence[UUID], *, what: Literal["status", "comments"]) -> Select[UUID, UUID]:
    """Who wants to hear this of which group: ``root_id``, ``person_id``. Erased people are never among them,
    nor who has been deactivated."""
    said = Subscription.status if what == "status" else Subscription.comments
    of_root = Subscription.request_id == ROOT
    wants = func.coalesce(func.bool_or(said).filter(of_root), func.bool_or(said))
    return (
        select(ROOT.label("root_id"), Subscription.person_id)
        .join(Request, Request.id == Subscription.request_id)
        .join(Person, Person.id == Subscription.person_id)
        .where(ROOT.in_(root_ids), Person.erased_at.is_(None), Person.active)
        .group_by(ROOT, Subscription.person_id)
        .having(wants)
    )


async def of(session: AsyncSession, request_id: UUID, *, principal: Principal) -> Wanted:
    """What the caller wants to hear; ``RequestNotFoundError``, ``PersonRequiredError``."""
    request = await get(session, request_id, principal=principal)
    root_id = request.merged_into_id or request.id
    return await _wanted(session, root_id, own_id(principal))


async def subscribe(
    session: AsyncSession, request_id: UUID, *, principal: Principal, status: bool, comments: bool
) -> Wanted:
    """Say what the caller wants to hear, which no vote changes afterwards. Again changes nothing.

    ``RequestNotFoundError``, ``PersonRequiredError``.
    """
    person_id = own_id(principal)
    root = await lock_root(session, request_id, principal=principal)
    before = await _wanted(session, root.id, person_id)
    await check_person(session, person_id, board_id=root.board_id)
    said = {"status": status, "comments": comments, "by_vote": False}
    row = insert(Subscription).values(request_id=root.id, person_id=person_id, **said)
    await session.execute(row.on_conflict_do_update(index_elements=["request_id", "person_id"], set_=said))
    after = Wanted(root.id, status, comments)
    if after != before:
        await _record(session, root, principal, before=before, after=after)
    return after


async def unsubscribe(session: AsyncSession, request_id: UUID, *, principal: Principal) -> None:
    """Nothing more of the whole group, nor of a request that leaves it; errors as ``subscribe``."""
    person_id = own_id(principal)
    root = await lock_root(session, request_id, principal=principal)
    before = await _wanted(session, root.id, person_id)
    mine = (Subscription.person_id == person_id, Subscription.request_id.in_(members(root.id)))
    await session.execute(delete(Subscription).where(*mine))
    nothing = {"status": False, "comments": False}
    rows = [
        {"request_id": each, "person_id": person_id, **nothing}
        for each in sorted(await session.scalars(members(root.id)))
    ]
    await session.execute(insert(Subscription).values(rows).on_conflict_do_nothing())
    after = Wanted(root.id, status=False, comments=False)
    if after != before:
        await _record(session, root, principal, before=before, after=after)


async def _wanted(session: AsyncSession, root_id: UUID, person_id: UUID) -> Wanted:
    statement = select(Subscription).where(
        Subscription.person_id == person_id, Subscription.request_id.in_(members(root_id))
    )
    said = (await session.scalars(statement, execution_options={"populate_existing": True})).all()
    said = [each for each in said if each.request_id == root_id] or said
    return Wanted(root_id, any(each.status for each in said), any(each.comments for each in said))


async def _record(
    session: AsyncSession, root: Request, principal: Principal, *, before: Wanted, after: Wanted
) -> None:
    await record(
        session,
        "feature_request.subscribed" if after.status or after.comments else "feature_request.unsubscribed",
        root,
        actor=principal,
        before={"status": before.status, "comments": before.comments},
        after={"status": after.status, "comments": after.comments},
        person_id=principal.person_id,
    )
