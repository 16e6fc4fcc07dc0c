"""Saved views."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.technical.controllers.filters import TeamFilter
from app.technical.controllers.macros import VisibilityFilter
from app.technical.exceptions import (
    InvalidDefinitionError,
    InvalidFieldError,
    LimitReachedError,
    UnknownTeamError,
    ViewNotFoundError,
)
from app.technical.models import TicketView as TicketViewRow
from app.technical.schemas.tickets import TicketView
from app.technical.schemas.views import ViewCount, ViewCreate, ViewDefinition, ViewUpdate
from app.technical.service import listing, showing, views

LOCATION = {"Location": "Address of the view."}
MINE = {
    "name": "My open tickets",
    "filter": {"assignee_id": ["me"], "status": ["new", "open"]},
    "sort": "-updated_at",
}
DEFINED_WRONGLY = (InvalidDefinitionError, InvalidFieldError, UnknownTeamError)


class ViewController(Controller):
    """Saved views of tickets."""

    path = "/views"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_view",
        opt=documented(raises=[*DEFINED_WRONGLY, LimitReachedError], headers=LOCATION, example=MINE),
    )
    async def create_view(
        self,
        data: JSONBody[ViewCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[ViewDefinition]:
        """Save a view of one's own, of a team, or for all the staff. Staff only."""
        row = await views.create(session, actor=principal, **structs.asdict(data))
        address = f"/v1/technical/views/{row.id}"
        return Response(_view(row), status_code=201, headers={"Location": address})

    @get(operation_id="list_views", opt=documented(listing=views.VIEWS))
    async def list_views(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        q: Search = None,
        visibility: VisibilityFilter = None,
        team_id: TeamFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[ViewDefinition]:
        """List the views that the caller may use, by name. Staff only."""
        found = await views.list_page(
            session,
            principal=principal,
            q=q,
            visibility=visibility,
            team_id=team_id,
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
        )
        return found.page(_view)

    @get("/{view_id:uuid}", operation_id="get_view", opt=documented(raises=[ViewNotFoundError]))
    async def get_view(
        self,
        view_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ViewDefinition:
        """Get a view. Others' own are not found."""
        return _view(await views.get(session, view_id, principal=principal))

    @patch(
        "/{view_id:uuid}",
        operation_id="update_view",
        opt=documented(raises=[ViewNotFoundError, *DEFINED_WRONGLY], example={"sort": "waiting_since"}),
    )
    async def update_view(
        self,
        *,
        view_id: FromPath[UUID],
        data: JSONBody[ViewUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> ViewDefinition:
        """Change a view: its maker one of their own, members and leads a team's, leads a shared one."""
        row = await views.change(session, view_id, actor=principal, expected=expected, **structs.asdict(data))
        return _view(row)

    @delete("/{view_id:uuid}", operation_id="delete_view", opt=documented(raises=[ViewNotFoundError]))
    async def delete_view(
        self,
        view_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a view; who may change it may delete it."""
        await views.remove(session, view_id, actor=principal, expected=expected)

    @get(
        "/{view_id:uuid}/tickets",
        operation_id="list_view_tickets",
        opt=documented(raises=[ViewNotFoundError], listing=listing.TICKETS),
    )
    async def list_view_tickets(
        self,
        *,
        view_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[TicketView]:
        """List the tickets of a view, in the view's order unless sorted otherwise. Staff only.

        A cursor holds until the view is changed.
        """
        found = await views.tickets_in(
            session, view_id, principal=principal, limit=limit, sort=sort, cursor=cursor, total=total
        )
        shown = await showing.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{view_id:uuid}/count",
        operation_id="count_view_tickets",
        opt=documented(raises=[ViewNotFoundError]),
    )
    async def count_view_tickets(
        self,
        view_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ViewCount:
        """How many tickets are in a view now. Staff only."""
        return ViewCount(count=await views.count(session, view_id, principal=principal))


def _view(row: TicketViewRow) -> ViewDefinition:
    return convert(row, ViewDefinition, from_attributes=True)
