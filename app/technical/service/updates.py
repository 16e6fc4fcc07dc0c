"""Telling every ticket of a known issue: decided in one transaction, written by a job, each ticket once.

What is told is a person's reply to each of its customers, so it answers them (PRODUCT's rule 2 asks for a
public reply by a person, not for one written to nobody else).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.conversations.constants import MessageKind
from app.database import Database
from app.exceptions import TrideskError
from app.identity.models import Person
from app.identity.principal import SYSTEM, Principal, speaking_as
from app.jobs import JobHandler, enqueue
from app.redaction import redact
from app.technical.constants import FINAL, UPDATE_JOB, DeliveryState, IssueStatus, Status
from app.technical.desk import Desk
from app.technical.models import IssueDelivery, IssueUpdate, KnownIssue, Ticket
from app.technical.schemas.issues import IssueUpdateView
from app.technical.service import changes, issues, replies, transitions

logger = logging.getLogger(__name__)


class UpdateJob(msgspec.Struct, frozen=True):
    """Payload: the known issue whose updates are to be written on its tickets."""

    id: UUID


async def announce(
    session: AsyncSession,
    issue_id: UUID,
    *,
    actor: Principal,
    body: str,
    kind: MessageKind = MessageKind.public,
    status: IssueStatus | None = None,
) -> IssueUpdate:
    """Tell every linked ticket that still changes. ``IssueNotFoundError``."""
    issue = await issues.lock(session, issue_id)
    if status is not None:
        issue = await issues.apply(session, issue, {"status": status}, actor=actor)
    return await _plan(session, issue, actor=actor, body=body, kind=kind, solve=False)


async def resolve(
    session: AsyncSession, issue_id: UUID, *, actor: Principal, body: str | None, solve_tickets: bool
) -> IssueUpdate:
    """Resolve the issue, tell its tickets, and solve them. ``IssueNotFoundError``, ``IssueResolvedError``."""
    issue = await issues.lock(session, issue_id)
    issues.check_unresolved(issue)
    issue = await issues.apply(session, issue, {"status": IssueStatus.resolved}, actor=actor)
    return await _plan(
        session, issue, actor=actor, body=body or "", kind=MessageKind.public, solve=solve_tickets
    )


async def _plan(
    session: AsyncSession,
    issue: KnownIssue,
    *,
    actor: Principal,
    body: str,
    kind: MessageKind,
    solve: bool,
) -> IssueUpdate:
    """The update with its tickets, as they are linked now, and the job that carries it out."""
    values = {
        "issue_id": issue.id,
        "author_person_id": actor.person_id,
        "body": redact(body),
        "kind": kind,
        "status": issue.status,
        "solve": solve,
    }
    planned = (await session.scalars(insert(IssueUpdate).values(values).returning(IssueUpdate))).one()
    linked = select(literal(planned.id), Ticket.id).where(
        Ticket.issue_id == issue.id, Ticket.status.not_in(FINAL)
    )
    await session.execute(insert(IssueDelivery).from_select(["update_id", "ticket_id"], linked))
    told = {"update_id": planned.id, "kind": kind, "solve": solve, "status": issue.status}
    await issues.record(session, "known_issue.announced", issue, actor=actor, after=told)
    await enqueue(session, UPDATE_JOB, UpdateJob(issue.id))
    return planned


def update_handler(database: Database, desk: Desk) -> JobHandler:
    """The job: one ticket after the other, a transaction each; killed anywhere, it goes on from there."""

    async def handle(payload: bytes, attempts: int) -> None:
        issue_id = msgspec.json.decode(payload, type=UpdateJob).id
        while True:
            async with database.session() as session:
                if not await deliver_next(session, desk, issue_id):
                    return

    return handle


async def deliver_next(session: AsyncSession, desk: Desk, issue_id: UUID) -> bool:
    """Write one more update on one more ticket of the issue; whether there was one.

    Several may do so at once: each passes over what another has begun, and whoever ends last leaves nothing.
    A ticket gets its updates in their order.
    """
    earlier = aliased(IssueDelivery)
    queued = (
        select(IssueDelivery)
        .join(IssueUpdate, IssueUpdate.id == IssueDelivery.update_id)
        .where(IssueUpdate.issue_id == issue_id, IssueDelivery.state == DeliveryState.queued)
        .where(
            ~select(earlier.update_id)
            .where(
                earlier.ticket_id == IssueDelivery.ticket_id,
                earlier.update_id < IssueDelivery.update_id,
                earlier.state == DeliveryState.queued,
            )
            .exists()
        )
        .order_by(IssueDelivery.update_id, IssueDelivery.ticket_id)
        .limit(1)
        .with_for_update(of=IssueDelivery, skip_locked=True)
    )
    place = await session.scalar(queued)
    if place is None:
        return False
    planned = await session.get_one(IssueUpdate, place.update_id)
    try:
        async with session.begin_nested():
            await _write(session, desk, planned, place.ticket_id)
        state, reason = DeliveryState.delivered, None
    except TrideskError as error:
        if error.status_code >= 500:
            raise
        state, reason = DeliveryState.skipped, error.code
    await session.execute(
        update(IssueDelivery)
        .where(IssueDelivery.update_id == planned.id, IssueDelivery.ticket_id == place.ticket_id)
        .values(state=state, reason=reason)
    )
    return True


async def _write(session: AsyncSession, desk: Desk, planned: IssueUpdate, ticket_id: UUID) -> None:
    author = await _author(session, planned.author_person_id)
    ticket = await changes.lock_open(session, ticket_id, principal=SYSTEM)
    solve = planned.solve and ticket.status != Status.solved
    if planned.body:
        kind = MessageKind(planned.kind)
        status = Status.solved if solve else None
        await replies.write(
            session, desk, ticket_id, author=author, body=planned.body, kind=kind, status=status
        )
    elif solve:
        await transitions.move(session, desk, ticket, Status.solved, actor=author)


async def _author(session: AsyncSession, person_id: UUID | None) -> Principal:
    """Who announced it, as one of the staff; a program, or somebody who was erased, speaks as the system."""
    person = await session.get(Person, person_id) if person_id is not None else None
    if person is None or person.erased_at is not None:
        return SYSTEM
    return speaking_as(person)


def of_issue(issue_id: UUID) -> Select[IssueUpdate]:
    """What was told to the tickets of an issue."""
    return select(IssueUpdate).where(IssueUpdate.issue_id == issue_id)


async def show_all(session: AsyncSession, planned: Sequence[IssueUpdate]) -> list[IssueUpdateView]:
    """Updates with how far they have come, in one query more."""
    statement = (
        select(IssueDelivery.update_id, IssueDelivery.state, func.count())
        .where(IssueDelivery.update_id.in_([each.id for each in planned]))
        .group_by(IssueDelivery.update_id, IssueDelivery.state)
    )
    counts: dict[UUID, dict[str, int]] = {}
    for update_id, state, count in await session.execute(statement):
        counts.setdefault(update_id, {})[state] = count
    return [_view(each, counts.get(each.id, {})) for each in planned]


def _view(planned: IssueUpdate, counts: Mapping[str, int]) -> IssueUpdateView:
    values: dict[str, Any] = {
        name: getattr(planned, name)
        for name in ("id", "issue_id", "body", "solve", "author_person_id", "created_at")
    }
    return IssueUpdateView(
        **values,
        kind=MessageKind(planned.kind),
        status=IssueStatus(planned.status),
        total=sum(counts.values()),
        delivered=counts.get(DeliveryState.delivered, 0),
        skipped=counts.get(DeliveryState.skipped, 0),
    )
