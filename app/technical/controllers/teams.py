"""Teams, and who gets a ticket."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.technical.exceptions import (
    LimitReachedError,
    MemberNotFoundError,
    NobodyAvailableError,
    TeamExistsError,
    TeamInUseError,
    TeamNotFoundError,
    TicketClosedError,
    TicketMergedError,
    TicketNotFoundError,
    UnknownAssigneeError,
)
from app.technical.models import Team
from app.technical.schemas.teams import (
    AssignmentCreate,
    TeamCreate,
    TeamMemberList,
    TeamMemberPut,
    TeamMemberView,
    TeamUpdate,
    TeamView,
)
from app.technical.schemas.tickets import TicketView
from app.technical.service import assigning, showing, teams

LOCATION = {"Location": "Address of the team."}
INTEGRATIONS = {"name": "Integrations", "assignment": "round_robin", "description": "What talks to others."}


class TeamController(Controller):
    """Teams of the desk."""

    path = "/teams"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_team",
        guards=[require(Role.lead)],
        opt=documented(raises=[TeamExistsError, LimitReachedError], headers=LOCATION, example=INTEGRATIONS),
    )
    async def create_team(
        self,
        data: JSONBody[TeamCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[TeamView]:
        """Make a team. Leads and admins."""
        row = await teams.create(session, actor=principal, **structs.asdict(data))
        address = f"/v1/technical/teams/{row.id}"
        return Response(_team(row), status_code=201, headers={"Location": address})

    @get(operation_id="list_teams", guards=[require(Role.agent)], opt=documented(listing=teams.TEAMS))
    async def list_teams(
        self,
        *,
        session: NamedDependency[AsyncSession],
        q: Search = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[TeamView]:
        """List teams by name. Staff only."""
        found = await teams.list_page(session, q=q, limit=limit, sort=sort, cursor=cursor, total=total)
        return found.page(_team)

    @get(
        "/{team_id:uuid}",
        operation_id="get_team",
        guards=[require(Role.agent)],
        opt=documented(raises=[TeamNotFoundError]),
    )
    async def get_team(self, team_id: FromPath[UUID], session: NamedDependency[AsyncSession]) -> TeamView:
        """Get a team. Staff only."""
        return _team(await teams.get(session, team_id))

    @patch(
        "/{team_id:uuid}",
        operation_id="update_team",
        guards=[require(Role.lead)],
        opt=documented(raises=[TeamNotFoundError, TeamExistsError], example={"assignment": "round_robin"}),
    )
    async def update_team(
        self,
        *,
        team_id: FromPath[UUID],
        data: JSONBody[TeamUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> TeamView:
        """Change a team. Leads and admins."""
        row = await teams.change(session, team_id, actor=principal, expected=expected, **structs.asdict(data))
        return _team(row)

    @delete(
        "/{team_id:uuid}",
        operation_id="delete_team",
        guards=[require(Role.lead)],
        opt=documented(raises=[TeamNotFoundError, TeamInUseError]),
    )
    async def delete_team(
        self,
        team_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a team that no ticket, macro or view needs. Leads and admins."""
        await teams.remove(session, team_id, actor=principal, expected=expected)

    @get(
        "/{team_id:uuid}/members",
        operation_id="list_team_members",
        guards=[require(Role.agent)],
        opt=documented(raises=[TeamNotFoundError]),
    )
    async def list_team_members(
        self, team_id: FromPath[UUID], session: NamedDependency[AsyncSession]
    ) -> TeamMemberList:
        """Everybody in a team with their load. Staff only."""
        return TeamMemberList(members=await teams.members(session, team_id))

    @put(
        "/{team_id:uuid}/members/{person_id:uuid}",
        operation_id="put_team_member",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[TeamNotFoundError, PermissionDeniedError, UnknownAssigneeError, LimitReachedError],
            example={"skills": ["csv"], "capacity": 20, "available": True},
        ),
    )
    async def put_team_member(
        self,
        *,
        team_id: FromPath[UUID],
        person_id: FromPath[UUID],
        data: JSONBody[TeamMemberPut],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> TeamMemberView:
        """Add somebody of the staff to a team, or change their place in it.

        Leads and admins; members of the team set their own `available`.
        """
        return await teams.put_member(session, team_id, person_id, actor=principal, **structs.asdict(data))

    @delete(
        "/{team_id:uuid}/members/{person_id:uuid}",
        operation_id="delete_team_member",
        guards=[require(Role.lead)],
        opt=documented(raises=[TeamNotFoundError, MemberNotFoundError]),
    )
    async def delete_team_member(
        self,
        *,
        team_id: FromPath[UUID],
        person_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Take somebody out of a team; tickets that they have stay theirs. Leads and admins.

        `If-Match` is about the team.
        """
        await teams.remove_member(session, team_id, person_id, actor=principal, expected=expected)


class TicketAssignmentController(Controller):
    """Who works on tickets."""

    path = "/tickets/{ticket_id:uuid}/assign"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="assign_ticket",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[TicketNotFoundError, TicketMergedError, TicketClosedError, NobodyAvailableError]
        ),
    )
    async def assign_ticket(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[AssignmentCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> TicketView:
        """Give a ticket to the member of its team with the least load who is available and has its skills.

        Whatever the team's `assignment`, and again for one that has an assignee. Staff only.
        """
        ticket = await assigning.assign(session, ticket_id, actor=principal)
        return await showing.show(session, ticket, principal=principal)


def _team(row: Team) -> TeamView:
    return convert(row, TeamView, from_attributes=True)
