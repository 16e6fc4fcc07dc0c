"""The schedule that gives waiting tickets to members who have become available."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.identity.principal import SYSTEM
from app.technical.constants import UNFINISHED, Assignment
from app.technical.models import Team, Ticket
from app.technical.service import assigning
from app.technical.service.changes import change
from app.technical.utils.choosing import Candidate, choose, needed_skills

ASSIGN_SECONDS = 60
BATCH = 50


async def assign_waiting(database: Database) -> int:
    """Give the unassigned tickets of the round-robin teams away, oldest first; returns how many.

    A transaction a batch, under the team's lock: what a killed one had not committed the next finds again.
    Tickets that somebody is changing are passed over until the next time.
    """
    async with database.session() as session:
        rule = select(Team.id).where(Team.assignment == Assignment.round_robin).order_by(Team.id)
        teams = (await session.scalars(rule)).all()
    given = 0
    for team_id in teams:
        after: UUID | None = None
        while True:
            async with database.session() as session:
                count, after = await _assign_batch(session, team_id, after)
            given += count
            if after is None:
                break
    return given


async def _assign_batch(session: AsyncSession, team_id: UUID, after: UUID | None) -> tuple[int, UUID | None]:
    """(how many it gave away, after which ticket to go on; None: that was all)."""
    await assigning.lock_teams(session, [team_id])
    candidates = {each.person_id: each for each in await assigning.candidates_of(session, team_id)}
    if not any(each.available and not each.is_full for each in candidates.values()):
        return 0, None
    tickets, given = await _waiting(session, team_id, after), 0
    for ticket in tickets:
        needed = needed_skills(candidates.values(), assigning.about(ticket))
        chosen = choose(candidates.values(), needed)
        if chosen is not None:
            candidates[chosen.person_id] = await _give(session, team_id, ticket, chosen)
            given += 1
    return given, tickets[-1].id if len(tickets) == BATCH else None


async def _waiting(session: AsyncSession, team_id: UUID, after: UUID | None) -> Sequence[Ticket]:
    """Ids count up with time: the oldest come first."""
    statement = (
        select(Ticket)
        .where(Ticket.team_id == team_id, Ticket.assignee_id.is_(None), Ticket.status.in_(UNFINISHED))
        .order_by(Ticket.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True, of=Ticket)
    )
    if after is not None:
        statement = statement.where(Ticket.id > after)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def _give(session: AsyncSession, team_id: UUID, ticket: Ticket, chosen: Candidate) -> Candidate:
    at = await assigning.note_assigned(session, team_id, chosen.person_id)
    ticket = await change(session, ticket, {"assignee_id": chosen.person_id}, actor=SYSTEM)
    await assigning.follow(session, ticket, actor=SYSTEM)
    return chosen.given_one(at)
