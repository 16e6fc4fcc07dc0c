"""Custom fields."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import FILTERS_MAX, Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.technical.constants import FieldType
from app.technical.exceptions import (
    FieldExistsError,
    FieldInUseError,
    FieldNotFoundError,
    InvalidDefinitionError,
    LimitReachedError,
)
from app.technical.models import TicketField
from app.technical.schemas.fields import TicketFieldCreate, TicketFieldUpdate, TicketFieldView
from app.technical.service import fields

LOCATION = {"Location": "Address of the field."}
BROWSER = {
    "key": "browser",
    "label": "Browser",
    "type": "select",
    "options": ["Chrome", "Firefox", "Safari"],
    "visible_to_customers": True,
    "editable_by_customers": True,
}
TypeFilter = Annotated[
    list[FieldType] | None,
    QueryParameter(
        name="type", max_items=FILTERS_MAX, description="Fields of this type. Several: any of them."
    ),
]
ArchivedFilter = Annotated[
    bool | None, QueryParameter(name="archived", description="Fields that are archived, or are not.")
]


class FieldController(Controller):
    """Custom fields of tickets."""

    path = "/fields"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_ticket_field",
        guards=[require(Role.admin)],
        opt=documented(
            raises=[InvalidDefinitionError, FieldExistsError, LimitReachedError],
            headers=LOCATION,
            example=BROWSER,
        ),
    )
    async def create_ticket_field(
        self,
        data: JSONBody[TicketFieldCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[TicketFieldView]:
        """Make a custom field. Admins."""
        row = await fields.create(session, actor=principal, **structs.asdict(data))
        address = f"/v1/technical/fields/{row.id}"
        return Response(_field(row), status_code=201, headers={"Location": address})

    @get(operation_id="list_ticket_fields", opt=documented(listing=fields.FIELDS))
    async def list_ticket_fields(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        q: Search = None,
        types: TypeFilter = None,
        archived: ArchivedFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[TicketFieldView]:
        """List custom fields in the order of forms. Customers list those that they see on their tickets."""
        found = await fields.list_page(
            session,
            principal=principal,
            q=q,
            types=types,
            archived=archived,
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
        )
        return found.page(_field)

    @get("/{field_id:uuid}", operation_id="get_ticket_field", opt=documented(raises=[FieldNotFoundError]))
    async def get_ticket_field(
        self,
        field_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> TicketFieldView:
        """Get a custom field. Customers get those that they see on their tickets."""
        return _field(await fields.get(session, field_id, principal=principal))

    @patch(
        "/{field_id:uuid}",
        operation_id="update_ticket_field",
        guards=[require(Role.admin)],
        opt=documented(raises=[FieldNotFoundError, InvalidDefinitionError], example={"label": "Browser"}),
    )
    async def update_ticket_field(
        self,
        *,
        field_id: FromPath[UUID],
        data: JSONBody[TicketFieldUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> TicketFieldView:
        """Change or archive a custom field. Admins. Values that there are stay as they are."""
        row = await fields.change(
            session, field_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return _field(row)

    @delete(
        "/{field_id:uuid}",
        operation_id="delete_ticket_field",
        guards=[require(Role.admin)],
        opt=documented(raises=[FieldNotFoundError, FieldInUseError]),
    )
    async def delete_ticket_field(
        self,
        field_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a custom field that nothing holds a value of; archive it otherwise. Admins."""
        await fields.remove(session, field_id, actor=principal, expected=expected)


def _field(row: TicketField) -> TicketFieldView:
    return convert(row, TicketFieldView, from_attributes=True)
