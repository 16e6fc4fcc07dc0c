"""Routes of identity."""

from __future__ import annotations

from typing import Annotated, TypeVar
from uuid import UUID

from litestar import Controller, Router, delete, get, patch, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct, convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import models, service
from app.identity.constants import NAME_MAX, Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.identity.schemas import (
    Account,
    AccountCreate,
    AccountUpdate,
    ApiKey,
    ApiKeyCreate,
    ApiKeyCreated,
    Me,
    Person,
    PersonCreate,
    PersonUpdate,
)
from app.models import Base
from app.pagination import Cursor, Limit, Page, Position, page

Shown = TypeVar("Shown", bound=Struct)

AccountFilter = Annotated[
    UUID | None, QueryParameter(name="account_id", description="People of this account.")
]
RoleFilter = Annotated[Role | None, QueryParameter(name="role", description="People of this role.")]
TextFilter = Annotated[
    str | None,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=NAME_MAX,
        pattern=r"^ *[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$",
        description="A part of the name, the e-mail address or the external id; case does not matter.",
    ),
]


def show(row: Base, kind: type[Shown]) -> Shown:
    """A row as the API shows it."""
    return convert(row, kind, from_attributes=True)


def position(row: models.Account | models.Person | models.ApiKey) -> Position:
    """Where a row stands in its list."""
    return Position(key=row.created_at, id=row.id)


@get("/me", operation_id="get_me")
async def get_me(session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]) -> Me:
    """Say who the caller is: role, person, account, and the audiences whose documents it may read."""
    person = account = None
    if principal.person_id is not None:
        person = await service.get_person(session, principal.person_id, principal=principal)
    if principal.account_id is not None:
        account = await service.get_account(session, principal.account_id, principal=principal)
    return Me(
        kind=principal.kind,
        name=principal.name,
        role=principal.role,
        key_id=principal.key_id,
        person=show(person, Person) if person else None,
        account=show(account, Account) if account else None,
        audiences=list(principal.audiences),
    )


class AccountController(Controller):
    """Accounts."""

    path = "/accounts"

    @post(operation_id="create_account", guards=[require(Role.lead)])
    async def create_account(
        self, data: JSONBody[AccountCreate], session: NamedDependency[AsyncSession]
    ) -> Account:
        """Make an account. Leads and admins."""
        account = await service.create_account(session, external_id=data.external_id, name=data.name)
        return show(account, Account)

    @get(operation_id="list_accounts", guards=[require(Role.agent)])
    async def list_accounts(
        self, session: NamedDependency[AsyncSession], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Account]:
        """List accounts, newest first. Staff only."""
        rows = await service.list_accounts(session, limit=limit, cursor=cursor)
        return page(rows, limit=limit, show=lambda row: show(row, Account), position=position)

    @get("/{account_id:uuid}", operation_id="get_account")
    async def get_account(
        self,
        account_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Account:
        """Get an account. Customers get their own only."""
        return show(await service.get_account(session, account_id, principal=principal), Account)

    @patch("/{account_id:uuid}", operation_id="update_account", guards=[require(Role.lead)])
    async def update_account(
        self,
        account_id: FromPath[UUID],
        data: JSONBody[AccountUpdate],
        session: NamedDependency[AsyncSession],
    ) -> Account:
        """Rename an account. Leads and admins."""
        return show(await service.update_account(session, account_id, name=data.name), Account)


class PersonController(Controller):
    """People."""

    path = "/people"

    @post(operation_id="create_person", guards=[require(Role.agent)])
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

    @get(operation_id="list_people", guards=[require(Role.agent)])
    async def list_people(
        self,
        *,
        session: NamedDependency[AsyncSession],
        account: AccountFilter = None,
        role: RoleFilter = None,
        text: TextFilter = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Person]:
        """List people, newest first. Staff only."""
        rows = await service.list_people(
            session, limit=limit, cursor=cursor, account_id=account, role=role, text=text
        )
        return page(rows, limit=limit, show=lambda row: show(row, Person), position=position)

    @get("/{person_id:uuid}", operation_id="get_person")
    async def get_person(
        self,
        person_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Person:
        """Get a person. Customers get themselves only."""
        return show(await service.get_person(session, person_id, principal=principal), Person)

    @patch("/{person_id:uuid}", operation_id="update_person", guards=[require(Role.agent)])
    async def update_person(
        self,
        person_id: FromPath[UUID],
        data: JSONBody[PersonUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Person:
        """Change a person.

        Agents change customers, leads also deactivate them; members of the staff and roles are an admin's.
        """
        person = await service.update_person(session, person_id, principal=principal, **structs.asdict(data))
        return show(person, Person)


class ApiKeyController(Controller):
    """API keys."""

    path = "/keys"
    guards = [require(Role.admin)]  # noqa: RUF012 - the framework reads the plain list

    @post(operation_id="create_api_key", cache_control=CacheControlHeader(no_store=True))
    async def create_api_key(
        self,
        data: JSONBody[ApiKeyCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ApiKeyCreated:
        """Make an API key. The answer is the only one that shows its secret. Admins only."""
        key, secret = await service.create_key(session, created_by=principal, **structs.asdict(data))
        return ApiKeyCreated(secret=secret, **structs.asdict(show(key, ApiKey)))

    @get(operation_id="list_api_keys")
    async def list_api_keys(
        self, session: NamedDependency[AsyncSession], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[ApiKey]:
        """List API keys, newest first, revoked and expired ones too. Admins only."""
        rows = await service.list_keys(session, limit=limit, cursor=cursor)
        return page(rows, limit=limit, show=lambda row: show(row, ApiKey), position=position)

    @delete("/{key_id:uuid}", operation_id="revoke_api_key")
    async def revoke_api_key(self, key_id: FromPath[UUID], session: NamedDependency[AsyncSession]) -> None:
        """Revoke an API key: it stops with its next request, and stays in the list. Again changes nothing."""
        await service.revoke_key(session, key_id)


router = Router(
    path="/v1/identity",
    route_handlers=[get_me, AccountController, PersonController, ApiKeyController],
    tags=["identity"],
)
