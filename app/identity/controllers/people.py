"""People."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulk import Bulk, BulkResult, run_bulk
from app.identity import models, service
from app.identity.constants import FILTERS_MAX, Role
from app.identity.controllers.shared import TextFilter, in_place, one_order, show
from app.identity.exceptions import (
    PersonErasedError,
    PersonExistsError,
    UnknownAccountError,
)
from app.identity.guards import require
from app.identity.principal import Principal
from app.identity.schemas import (
    Person,
    PersonCreate,
    PersonPut,
    PersonUpdate,
)
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, within
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

AccountFilter = Annotated[
    list[UUID] | None,
    QueryParameter(
        name="account_id", max_items=FILTERS_MAX, description="People of this account. Several: any of them."
    ),
]
RoleFilter = Annotated[
    list[Role] | None,
    QueryParameter(
        name="role", max_items=FILTERS_MAX, description="People of this role. Several: any of them."
    ),
]
ActiveFilter = Annotated[
    bool | None, QueryParameter(name="active", description="People who are deactivated, or are not.")
]


class PersonController(Controller):
    """People."""

    path = "/people"

    @post(
        operation_id="create_person",
        guards=[require(Role.agent)],
        opt=documented(raises=[PersonExistsError, PersonErasedError, UnknownAccountError]),
    )
    async def create_person(
        self,
        data: JSONBody[PersonCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Person:
        """Make a person. Staff make customers, an admin anybody.

        People who come with a token of the host app are made by themselves.
        """
        person = await service.create_person(session, principal=principal, **structs.asdict(data))
        return show(person, Person)

    @post("/bulk", operation_id="put_people", status_code=200, guards=[require(Role.agent)])
    async def put_people(
        self,
        data: JSONBody[Bulk[PersonPut]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[Person]:
        """Make people, or change those that there are, by the host app's ids.

        Each item asks for the rights that making or changing this person alone would ask for.
        """

        async def put(item: PersonPut) -> Person:
            person = await service.put_person(session, principal=principal, **structs.asdict(item))
            return show(person, Person)

        order = one_order(data.items)
        return in_place(await run_bulk(session, [data.items[index] for index in order], put), order)

    @get(operation_id="list_people", guards=[require(Role.agent)], opt=documented(listing=service.PEOPLE))
    async def list_people(
        self,
        *,
        session: NamedDependency[AsyncSession],
        accounts: AccountFilter = None,
        roles: RoleFilter = None,
        active: ActiveFilter = None,
        text: TextFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Person]:
        """List people, newest first. Staff only."""
        wanted = service.people_like(text, accounts=accounts, roles=roles, active=active)
        found = await service.PEOPLE.fetch(
            session,
            wanted.where(within(models.Person.created_at, created_after, created_before)),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={
                "account_id": accounts,
                "role": roles,
                "active": active,
                "q": text,
                "created_after": created_after,
                "created_before": created_before,
            },
        )
        return found.page(lambda row: show(row, Person))

    @get("/{person_id:uuid}", operation_id="get_person")
    async def get_person(
        self,
        person_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Person:
        """Get a person. Customers get themselves only."""
        return show(await service.get_person(session, person_id, principal=principal), Person)

    @patch(
        "/{person_id:uuid}",
        operation_id="update_person",
        guards=[require(Role.agent)],
        opt=documented(raises=[PersonErasedError, UnknownAccountError]),
    )
    async def update_person(
        self,
        *,
        person_id: FromPath[UUID],
        data: JSONBody[PersonUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> Person:
        """Change a person.

        Agents change customers, leads also deactivate them; members of the staff and roles are an admin's.
        """
        person = await service.update_person(
            session, person_id, principal=principal, expected=expected, **structs.asdict(data)
        )
        return show(person, Person)
