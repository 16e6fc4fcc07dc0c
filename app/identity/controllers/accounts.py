"""Accounts."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulk import Bulk, BulkResult, run_bulk
from app.identity import models, service
from app.identity.constants import Role
from app.identity.controllers.shared import TextFilter, in_place, one_order, show
from app.identity.exceptions import (
    AccountExistsError,
)
from app.identity.guards import require
from app.identity.principal import Principal
from app.identity.schemas import (
    Account,
    AccountCreate,
    AccountPut,
    AccountUpdate,
)
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, within
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected


class AccountController(Controller):
    """Accounts."""

    path = "/accounts"

    @post(
        operation_id="create_account",
        guards=[require(Role.lead)],
        opt=documented(raises=[AccountExistsError]),
    )
    async def create_account(
        self,
        data: JSONBody[AccountCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Account:
        """Make an account. Leads and admins."""
        account = await service.create_account(session, actor=principal, **structs.asdict(data))
        return show(account, Account)

    @post("/bulk", operation_id="put_accounts", status_code=200, guards=[require(Role.lead)])
    async def put_accounts(
        self,
        data: JSONBody[Bulk[AccountPut]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[Account]:
        """Make accounts, or rename those that there are, by the host app's ids. Leads and admins."""

        async def put(item: AccountPut) -> Account:
            name = None if item.name is UNSET else item.name
            account = await service.upsert_account(session, item.external_id, name, actor=principal)
            return show(account, Account)

        order = one_order(data.items)
        return in_place(await run_bulk(session, [data.items[index] for index in order], put), order)

    @get(
        operation_id="list_accounts",
        guards=[require(Role.agent)],
        opt=documented(listing=service.ACCOUNTS),
    )
    async def list_accounts(
        self,
        *,
        session: NamedDependency[AsyncSession],
        text: TextFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Account]:
        """List accounts, newest first. Staff only."""
        made = within(models.Account.created_at, created_after, created_before)
        found = await service.ACCOUNTS.fetch(
            session,
            service.accounts_like(text).where(made),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"q": text, "created_after": created_after, "created_before": created_before},
        )
        return found.page(lambda row: show(row, Account))

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
        *,
        account_id: FromPath[UUID],
        data: JSONBody[AccountUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> Account:
        """Rename an account. Leads and admins."""
        account = await service.update_account(
            session, account_id, name=data.name, expected=expected, actor=principal
        )
        return show(account, Account)
