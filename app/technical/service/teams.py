"""Teams and their members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import ColumnElement, cast, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import Principal
from app.identity.utils import clean_text
from app.listing import Listed, Listing, matching
from app.preconditions import ANYTHING, Expected
from app.redaction import redact
from app.technical.constants import MEMBERS_MAX, NAME_MAX, TEAMS_MAX, UNFINISHED
from app.technical.exceptions import (
    LimitReachedError,
    MemberNotFoundError,
    TeamExistsError,
    TeamInUseError,
    TeamNotFoundError,
)
from app.technical.models import Macro, Team, TeamMember, Ticket, TicketView
from app.technical.schemas.teams import TeamMemberView
from app.technical.service import assigning
from app.technical.service.configuring import Configured

CONFIGURED = Configured(
    model=Team,
    name="team",
    told=("name", "description", "assignment", "products"),
    missing=TeamNotFoundError,
    maximum=TEAMS_MAX,
)
TEAMS = Listing(
    Team,
    sorts={"created_at": Team.created_at, "updated_at": Team.updated_at, "name": Team.name},
    default="name",
)


async def create(session: AsyncSession, *, actor: Principal, **given: Any) -> Team:
    """A new team. ``TeamExistsError``, ``LimitReachedError``."""
    row = await CONFIGURED.create(session, _cleaned(given), actor=actor)
    if row is None:
        raise TeamExistsError("Another team has this name.")
    return row


async def get(session: AsyncSession, team_id: UUID) -> Team:
    """The team; ``TeamNotFoundError``."""
    return await CONFIGURED.get(session, team_id)


async def list_page(
    session: AsyncSession, *, q: str | None, limit: int, sort: str | None, cursor: str | None, total: bool
) -> Listed[Team]:
    """One page, by name unless sorted otherwise."""
    wanted = select(Team).where(matching(q, Team.name, Team.description))
    return await TEAMS.fetch(
        session, wanted, limit=limit, sort=sort, cursor=cursor, total=total, filters={"q": q}
    )


async def change(
    session: AsyncSession, team_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> Team:
    """Change what is given and not UNSET. ``TeamNotFoundError``, ``TeamExistsError``,
    ``VersionMismatchError``.
    """
    row = await CONFIGURED.lock(session, team_id, expected=expected)
    values = _cleaned({name: value for name, value in given.items() if value is not UNSET})
    if "name" in values:
        same = select(Team.id).where(Team.name == values["name"], Team.id != row.id)
        if await session.scalar(same) is not None:
            raise TeamExistsError("Another team has this name.")
    return await CONFIGURED.change(session, row, values, actor=actor)


async def remove(
    session: AsyncSession, team_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> None:
    """Delete a team that nothing needs. ``TeamNotFoundError``, ``TeamInUseError``."""
    row = await CONFIGURED.lock(session, team_id, expected=expected)
    used: dict[str, Any] = {
        "tickets": await _count(session, Ticket, Ticket.team_id == team_id),
        "macros": await _count(
            session, Macro, or_(Macro.team_id == team_id, Macro.actions["team_id"].astext == str(team_id))
        ),
        "views": await _count(
            session,
            TicketView,
            or_(
                TicketView.team_id == team_id,
                TicketView.filter.contains(cast(literal({"team_id": [str(team_id)]}, JSONB), JSONB)),
            ),
        ),
    }
    if any(used.values()):
        raise TeamInUseError("Tickets, macros or views need this team.", **used)
    await CONFIGURED.delete(session, row, actor=actor)


async def members(session: AsyncSession, team_id: UUID) -> list[TeamMemberView]:
    """Everybody in the team, by name; ``TeamNotFoundError``."""
    await get(session, team_id)
    return await _shown(session, TeamMember.team_id == team_id, team_id=team_id)


async def put_member(
    session: AsyncSession, team_id: UUID, person_id: UUID, *, actor: Principal, **given: Any
) -> TeamMemberView:
    """Add somebody of the staff, or change what is given of who is in the team.

    Leads do so; others come and go themselves: they change their own ``available``. Errors:
    ``TeamNotFoundError``, ``PermissionDeniedError``, ``UnknownAssigneeError``, ``LimitReachedError``.
    """
    team = await CONFIGURED.lock(session, team_id)
    values = {name: value for name, value in given.items() if value is not UNSET}
    if "skills" in values:
        values["skills"] = sorted({each.strip().lower() for each in values["skills"]})
    present = await _member(session, team_id, person_id)
    if not actor.at_least(Role.lead) and (
        present is None or person_id != actor.person_id or set(values) - {"available"}
    ):
        raise PermissionDeniedError("Only leads change members; others their own availability.")
    if present is None:
        await assigning.check_assignee(session, person_id)
        await _check_room(session, team_id)
    await _put(session, team, person_id, present, values, actor=actor)
    (shown,) = await _shown(session, TeamMember.person_id == person_id, team_id=team_id)
    return shown


async def remove_member(
    session: AsyncSession,
    team_id: UUID,
    person_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> None:
    """Take somebody out; the tickets that they have stay theirs. ``expected``: the team's version.

    ``TeamNotFoundError``, ``MemberNotFoundError``, ``VersionMismatchError``.
    """
    team = await CONFIGURED.lock(session, team_id, expected=expected)
    statement = delete(TeamMember).where(TeamMember.team_id == team_id, TeamMember.person_id == person_id)
    gone = (await session.scalars(statement.returning(TeamMember.person_id))).one_or_none()
    if gone is None:
        raise MemberNotFoundError("The person is not in the team.")
    await CONFIGURED.bump(session, team)
    before = {"member_id": person_id}
    await _record(session, "team.member_removed", team_id, actor=actor, before=before)


async def _put(
    session: AsyncSession,
    team: Team,
    person_id: UUID,
    present: TeamMember | None,
    values: Mapping[str, Any],
    *,
    actor: Principal,
) -> None:
    if present is None:
        await session.execute(insert(TeamMember).values(team_id=team.id, person_id=person_id, **values))
        before, after = None, dict(values)
    else:
        after = {name: value for name, value in values.items() if getattr(present, name) != value}
        if not after:
            return
        before = {name: getattr(present, name) for name in after} | {"member_id": person_id}
        here = (TeamMember.team_id == team.id, TeamMember.person_id == person_id)
        await session.execute(update(TeamMember).where(*here).values(after))
    await CONFIGURED.bump(session, team)
    kind = "team.member_added" if present is None else "team.member_updated"
    after |= {"member_id": person_id}
    await _record(session, kind, team.id, actor=actor, before=before, after=after)


async def _check_room(session: AsyncSession, team_id: UUID) -> None:
    if await _count(session, TeamMember, TeamMember.team_id == team_id) >= MEMBERS_MAX:
        raise LimitReachedError(f"A team has {MEMBERS_MAX} members at most.", maximum=MEMBERS_MAX)


async def _member(session: AsyncSession, team_id: UUID, person_id: UUID) -> TeamMember | None:
    return await session.get(TeamMember, (team_id, person_id), populate_existing=True)


async def _shown(
    session: AsyncSession, condition: ColumnElement[bool], *, team_id: UUID
) -> list[TeamMemberView]:
    unfinished = (
        select(func.count())
        .where(
            Ticket.assignee_id == TeamMember.person_id,
            Ticket.team_id == team_id,
            Ticket.status.in_(UNFINISHED),
        )
        .scalar_subquery()
    )
    statement = (
        select(TeamMember, Person.name, unfinished)
        .join(Person, Person.id == TeamMember.person_id)
        .where(TeamMember.team_id == team_id, condition)
        .order_by(Person.name, Person.id)
    )
    found = await session.execute(statement, execution_options={"populate_existing": True})
    return [_view(member, name, count) for member, name, count in found]


def _view(member: TeamMember, name: str, unfinished: int) -> TeamMemberView:
    return TeamMemberView(
        person_id=member.person_id,
        name=name,
        skills=list(member.skills),
        capacity=member.capacity,
        available=member.available,
        unfinished=unfinished,
        last_assigned_at=member.last_assigned_at,
        created_at=member.created_at,
    )


def _cleaned(given: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(given)
    if "name" in values:
        values["name"] = clean_text(values["name"], field="name", maximum=NAME_MAX)
    if "description" in values:
        values["description"] = redact(values["description"].strip())
    if "products" in values:
        values["products"] = _each_once([each.strip() for each in values["products"]])
    return values


def _each_once(names: Sequence[str]) -> list[str]:
    """In their order; of those that differ in case alone the first."""
    found: dict[str, str] = {}
    for each in names:
        found.setdefault(each.lower(), each)
    return list(found.values())


async def _count(session: AsyncSession, model: type[Any], condition: ColumnElement[bool]) -> int:
    return await session.scalar(select(func.count()).select_from(model).where(condition)) or 0


async def _record(session: AsyncSession, kind: str, team_id: UUID, **told: Any) -> None:
    await events.record(session, kind, subject=Subject("team", team_id), audit=True, **told)
