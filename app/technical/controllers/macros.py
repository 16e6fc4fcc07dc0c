"""Macros."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.exceptions import MessageTooLargeError, TooManyParticipantsError
from app.identity.constants import Role
from app.identity.exceptions import PersonDeactivatedError
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import FILTERS_MAX, Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.technical.constants import Visibility
from app.technical.controllers.filters import TeamFilter
from app.technical.desk import Desk
from app.technical.exceptions import (
    InvalidDefinitionError,
    InvalidFieldError,
    InvalidTransitionError,
    LimitReachedError,
    MacroNotFoundError,
    MissingFieldsError,
    TicketClosedError,
    TicketMergedError,
    UnknownAssigneeError,
    UnknownTeamError,
    UnknownTicketError,
)
from app.technical.models import Macro
from app.technical.schemas.macros import (
    MacroApplied,
    MacroApply,
    MacroCreate,
    MacroPreview,
    MacroPreviewCreate,
    MacroUpdate,
    MacroView,
)
from app.technical.service import applying, macros, showing

LOCATION = {"Location": "Address of the macro."}
LOG_FILE = {
    "name": "Ask for a log file",
    "body": "Hello {{requester.name}}, please send us the log file of {{ticket.product}}.",
    "actions": {"status": "pending", "assignee_id": "me", "add_tags": ["needs-log"]},
}
DEFINED_WRONGLY = (InvalidDefinitionError, InvalidFieldError, UnknownTeamError, UnknownAssigneeError)
VisibilityFilter = Annotated[
    list[Visibility] | None,
    QueryParameter(name="visibility", max_items=FILTERS_MAX, description="Whose. Several: any of them."),
]


class MacroController(Controller):
    """Canned replies with actions."""

    path = "/macros"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_macro",
        opt=documented(raises=[*DEFINED_WRONGLY, LimitReachedError], headers=LOCATION, example=LOG_FILE),
    )
    async def create_macro(
        self,
        data: JSONBody[MacroCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[MacroView]:
        """Make a macro of one's own, of a team, or for all the staff. Staff only."""
        row = await macros.create(session, actor=principal, **structs.asdict(data))
        address = f"/v1/technical/macros/{row.id}"
        return Response(_macro(row), status_code=201, headers={"Location": address})

    @get(operation_id="list_macros", opt=documented(listing=macros.MACROS))
    async def list_macros(
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
    ) -> Page[MacroView]:
        """List the macros that the caller may use, by name. Staff only."""
        found = await macros.list_page(
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
        return found.page(_macro)

    @get("/{macro_id:uuid}", operation_id="get_macro", opt=documented(raises=[MacroNotFoundError]))
    async def get_macro(
        self,
        macro_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> MacroView:
        """Get a macro. Others' own are not found."""
        return _macro(await macros.get(session, macro_id, principal=principal))

    @patch(
        "/{macro_id:uuid}",
        operation_id="update_macro",
        opt=documented(raises=[MacroNotFoundError, *DEFINED_WRONGLY], example={"kind": "note"}),
    )
    async def update_macro(
        self,
        *,
        macro_id: FromPath[UUID],
        data: JSONBody[MacroUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> MacroView:
        """Change a macro: its maker one of their own, members and leads a team's, leads a shared one."""
        row = await macros.change(
            session, macro_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return _macro(row)

    @delete("/{macro_id:uuid}", operation_id="delete_macro", opt=documented(raises=[MacroNotFoundError]))
    async def delete_macro(
        self,
        macro_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a macro; who may change it may delete it."""
        await macros.remove(session, macro_id, actor=principal, expected=expected)

    @post(
        "/{macro_id:uuid}/preview",
        operation_id="preview_macro",
        status_code=200,
        opt=documented(raises=[MacroNotFoundError, UnknownTicketError, MessageTooLargeError]),
    )
    async def preview_macro(
        self,
        macro_id: FromPath[UUID],
        data: JSONBody[MacroPreviewCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> MacroPreview:
        """What a macro would write and do on a ticket; nothing is done."""
        macro, found = await applying.preview(
            session, macro_id, ticket_id=data.ticket_id, principal=principal
        )
        shown = {"body": found.body.raw, "html": found.body.html, "kind": macro.kind}
        return convert(shown | {"actions": found.actions}, MacroPreview, from_attributes=True)

    @post(
        "/{macro_id:uuid}/apply",
        operation_id="apply_macro",
        status_code=200,
        opt=documented(
            raises=[
                MacroNotFoundError,
                UnknownTicketError,
                TicketMergedError,
                TicketClosedError,
                InvalidTransitionError,
                MissingFieldsError,
                InvalidFieldError,
                UnknownTeamError,
                UnknownAssigneeError,
                MessageTooLargeError,
                TooManyParticipantsError,
                PersonDeactivatedError,
            ]
        ),
    )
    async def apply_macro(
        self,
        *,
        macro_id: FromPath[UUID],
        data: JSONBody[MacroApply],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> MacroApplied:
        """Write and change what a macro says, all of it or nothing."""
        done = await applying.apply(
            session, desk, macro_id, ticket_id=data.ticket_id, actor=principal, body=data.body
        )
        message = None
        if done.posted is not None:
            message = await conversations.show_message(session, done.posted.message, principal=principal)
        ticket = await showing.show(session, done.ticket, principal=principal)
        return MacroApplied(ticket=ticket, message=message)


def _macro(row: Macro) -> MacroView:
    return convert(row, MacroView, from_attributes=True)
