"""API keys, and who the caller is."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import models, service
from app.identity.constants import Role
from app.identity.controllers.shared import show
from app.identity.exceptions import (
    InvalidKeyRequestError,
    UnknownPersonError,
)
from app.identity.guards import require
from app.identity.principal import Principal
from app.identity.schemas import (
    Account,
    ApiKey,
    ApiKeyCreate,
    ApiKeyCreated,
    Me,
    Person,
)
from app.listing import Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page


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


class ApiKeyController(Controller):
    """API keys."""

    path = "/keys"
    guards = [require(Role.admin)]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_api_key",
        cache_control=CacheControlHeader(no_store=True),
        opt=documented(
            raises=[InvalidKeyRequestError, UnknownPersonError],
            example={"name": "Support desk", "role": "agent"},
            returns_secret=True,
        ),
    )
    async def create_api_key(
        self,
        data: JSONBody[ApiKeyCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ApiKeyCreated:
        """Make an API key. The answer is the only one that shows its secret. Admins only."""
        key, secret = await service.create_key(session, created_by=principal, **structs.asdict(data))
        return ApiKeyCreated(secret=secret, **structs.asdict(show(key, ApiKey)))

    @get(operation_id="list_api_keys", opt=documented(listing=service.KEYS))
    async def list_api_keys(
        self,
        *,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[ApiKey]:
        """List API keys, newest first, revoked and expired ones too. Admins only."""
        found = await service.KEYS.fetch(
            session, select(models.ApiKey), limit=limit, sort=sort, cursor=cursor, total=total
        )
        return found.page(lambda row: show(row, ApiKey))

    @delete("/{key_id:uuid}", operation_id="revoke_api_key")
    async def revoke_api_key(
        self,
        key_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> None:
        """Revoke an API key: it stops with its next request, and stays in the list. Again changes nothing."""
        await service.revoke_key(session, key_id, actor=principal)
