"""Who works on a ticket: its team by product, its assignee by load and skills.

The rule looks at loads under a lock of the team's row, so that tickets that come at once are spread as if
they came one by one. The team is locked before any ticket (``lock_teams``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.constants import ParticipantRole
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import Principal
from app.technical.constants import UNFINISHED, Assignment, Source, Status
from app.technical.exceptions import (
    NobodyAvailableError,
    UnknownAssigneeError,
    UnknownIssueError,
    UnknownTeamError,
)
from app.technical.models import KnownIssue, Team, TeamMember, Ticket
from app.technical.service.changes import change, check_open, get, lock, subject_of
from app.technical.utils.choosing import Candidate, choose, needed_skills

ACTIVE_STAFF = (Person.active, Person.role != Role.customer, Person.erased_at.is_(None))


async def lock_teams(session: AsyncSession, team_ids: Iterable[UUID | None]) -> None:
    """Lock teams in the order of their ids; before tickets are. Those that do not exist are passed over."""
    ids = {each for each in team_ids if isinstance(each, UUID)}
    if ids:
        held = select(Team.id).where(Team.id.in_(ids)).order_by(Team.id)
        await session.execute(held.with_for_update(key_share=True))


async def lock_team_of(session: AsyncSession, ticket_id: UUID) -> None:
    """``lock_teams`` of the team that a ticket is of, before the ticket itself is locked."""
    await lock_teams(session, [await session.scalar(select(Ticket.team_id).where(Ticket.id == ticket_id))])


async def placed(session: AsyncSession, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a new ticket with the team and the assignee that the rules give it.

    ``UnknownAssigneeError`` for an assignee who is given and not of the team that is given.
    """
    placed = dict(values)
    if placed.get("team_id") is None and placed.get("product"):
        placed["team_id"] = await _team_of_product(session, placed["product"], placed.get("assignee_id"))
    team_id, assignee_id = placed.get("team_id"), placed.get("assignee_id")
    if team_id is None or placed.get("source") == Source.imported:
        return placed
    if assignee_id is not None and not await _may_have(session, team_id, assignee_id):
        if placed.get("source") != Source.split_off:
            _refuse(assignee_id)
        placed["assignee_id"] = None  # of the old ticket, since when they have left the team
    if placed.get("assignee_id") is None and placed.get("status", Status.new) in UNFINISHED:
        placed["assignee_id"] = await _next_of(session, team_id, placed)
    return placed


async def replaced(session: AsyncSession, ticket: Ticket, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a locked ticket with what they mean for who works on it.

    Another team gives it another assignee, by its rule, or keeps the one who is of that team too.
    ``UnknownAssigneeError`` for an assignee who is given and not of the team.
    """
    replaced = dict(changes)
    team_id = replaced.get("team_id", ticket.team_id)
    if replaced.get("assignee_id") is not None:
        moves = replaced["assignee_id"] != ticket.assignee_id or team_id != ticket.team_id
        if moves and team_id is not None and not await _may_have(session, team_id, replaced["assignee_id"]):
            _refuse(replaced["assignee_id"])
    elif "assignee_id" not in replaced and team_id is not None and team_id != ticket.team_id:
        after = {name: getattr(ticket, name) for name in ("tags", "component", "product")} | replaced
        if ticket.status in UNFINISHED and await _rule_of(session, team_id) == Assignment.round_robin:
            replaced["assignee_id"] = await _next_of(session, team_id, after)
        elif ticket.assignee_id is not None and not await _may_have(session, team_id, ticket.assignee_id):
            replaced["assignee_id"] = None
    return replaced


async def assign(session: AsyncSession, ticket_id: UUID, *, actor: Principal) -> Ticket:
    """Give a ticket to whoever the rule chooses now, whatever its team's assignment and present assignee.

    Without a team, it comes to that of its product. Errors: ``TicketNotFoundError``, ``TicketMergedError``,
    ``TicketClosedError``, ``NobodyAvailableError``.
    """
    seen = await get(session, ticket_id, principal=actor)
    check_open(seen)
    team_id = seen.team_id or await _team_of_product(session, seen.product, None)
    await lock_teams(session, [team_id])
    ticket = await lock(session, ticket_id, principal=actor)
    check_open(ticket)
    team_id = ticket.team_id or team_id
    if team_id is None:
        raise NobodyAvailableError("The ticket has no team, and no team has its product.")
    candidates = await candidates_of(session, team_id, besides=ticket.id)
    chosen = choose(candidates, needed_skills(candidates, _about(_values_of(ticket))))
    if chosen is None:
        raise NobodyAvailableError("Nobody of the team can take the ticket now.", team_id=team_id)
    await note_assigned(session, team_id, chosen.person_id)
    values = {"team_id": team_id, "assignee_id": chosen.person_id}
    ticket = await change(session, ticket, values, actor=actor)
    await follow(session, ticket, actor=actor)
    return ticket


async def follow(session: AsyncSession, ticket: Ticket, *, actor: Principal) -> None:
    """The ticket's assignee, and nobody else, takes part in its conversation as such: notes reach them."""
    conversation = await conversations.get(session, subject_of(ticket.id), principal=actor)
    if ticket.assignee_id is not None:
        await conversations.participants.add(
            session,
            conversation,
            actor=actor,
            role=ParticipantRole.assignee,
            person_id=ticket.assignee_id,
        )
        return
    for each in await conversations.participants.list_all(session, conversation):
        if each.role == ParticipantRole.assignee:
            await conversations.participants.remove(session, conversation, each.id, actor=actor)


async def candidates_of(
    session: AsyncSession, team_id: UUID, *, besides: UUID | None = None
) -> list[Candidate]:
    """The active members of a locked team with their loads; the ticket ``besides`` does not count."""
    load = (
        select(func.count())
        .where(
            Ticket.assignee_id == TeamMember.person_id,
            Ticket.team_id == team_id,
            Ticket.status.in_(UNFINISHED),
            Ticket.id.is_distinct_from(besides),
        )
        .scalar_subquery()
    )
    statement = (
        select(TeamMember, load)
        .join(Person, Person.id == TeamMember.person_id)
        .where(TeamMember.team_id == team_id, *ACTIVE_STAFF)
    )
    found = await session.execute(statement, execution_options={"populate_existing": True})
    return [
        Candidate(
            person_id=member.person_id,
            skills=frozenset(member.skills),
            capacity=member.capacity,
            available=member.available,
            unfinished=unfinished,
            last_assigned_at=member.last_assigned_at,
        )
        for member, unfinished in found
    ]


async def note_assigned(session: AsyncSession, team_id: UUID, person_id: UUID) -> datetime:
    """Keep when the rule chose them, by the clock: transactions that wait have begun long before."""
    at = datetime.now(UTC)
    here = (TeamMember.team_id == team_id, TeamMember.person_id == person_id)
    await session.execute(update(TeamMember).where(*here).values(last_assigned_at=at))
    return at


async def check_assignee(session: AsyncSession, person_id: UUID | None) -> None:
    """``UnknownAssigneeError`` unless this is an active member of the staff."""
    if person_id is None:
        return
    statement = select(Person.id).where(Person.id == person_id, *ACTIVE_STAFF)
    if await session.scalar(statement) is None:
        raise UnknownAssigneeError("The assignee is no active member of the staff.", assignee_id=person_id)


async def check_team(session: AsyncSession, team_id: UUID | None) -> None:
    """``UnknownTeamError`` unless there is such a team."""
    if team_id is not None and await session.get(Team, team_id) is None:
        raise UnknownTeamError("There is no such team.", team_id=team_id)


async def check_issue(session: AsyncSession, issue_id: UUID | None) -> None:
    """``UnknownIssueError`` unless there is such a known issue."""
    if issue_id is not None and await session.get(KnownIssue, issue_id) is None:
        raise UnknownIssueError("There is no such known issue.", issue_id=issue_id)


async def _next_of(session: AsyncSession, team_id: UUID, values: Mapping[str, Any]) -> UUID | None:
    """Whom a round-robin team gives a ticket with these values; None: nobody, or it is not such a team."""
    if await _rule_of(session, team_id) != Assignment.round_robin:
        return None
    await lock_teams(session, [team_id])
    candidates = await candidates_of(session, team_id)
    chosen = choose(candidates, needed_skills(candidates, _about(values)))
    if chosen is None:
        return None
    await note_assigned(session, team_id, chosen.person_id)
    return chosen.person_id


async def _rule_of(session: AsyncSession, team_id: UUID) -> str | None:
    return await session.scalar(select(Team.assignment).where(Team.id == team_id))


async def _team_of_product(
    session: AsyncSession, product: str | None, assignee_id: UUID | None
) -> UUID | None:
    """The oldest team that has the product and, if somebody is given, may have them."""
    if not product:
        return None
    lowered = func.lower(func.array_to_string(Team.products, "\n"))  # names have no line ends
    has_it = literal(product.strip().lower()) == any_(func.string_to_array(lowered, "\n", type_=ARRAY(Text)))
    found = await session.scalars(select(Team.id).where(has_it).order_by(Team.created_at, Team.id))
    for team_id in found.all():
        if assignee_id is None or await _may_have(session, team_id, assignee_id):
            return team_id
    return None


async def _may_have(session: AsyncSession, team_id: UUID, person_id: UUID) -> bool:
    """Whether they are of the team; of one without members everybody is."""
    members = set(await session.scalars(select(TeamMember.person_id).where(TeamMember.team_id == team_id)))
    return not members or person_id in members


def _refuse(assignee_id: UUID) -> None:
    raise UnknownAssigneeError("The assignee is not of the ticket's team.", assignee_id=assignee_id)


def _values_of(ticket: Ticket) -> dict[str, Any]:
    return {"tags": ticket.tags, "component": ticket.component, "product": ticket.product}


def _about(values: Mapping[str, Any]) -> list[str | None]:
    return [*(values.get("tags") or ()), values.get("component"), values.get("product")]


def about(ticket: Ticket) -> list[str | None]:
    """What may need a skill."""
    return _about(_values_of(ticket))
