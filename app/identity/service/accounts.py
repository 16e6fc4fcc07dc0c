"""Accounts: staff see all, a customer their own."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import NotFoundError
from app.identity.exceptions import AccountExistsError
from app.identity.models import Account
from app.identity.principal import Principal
from app.identity.utils import clean_external_id, clean_name
from app.pagination import after


async def create_account(session: AsyncSession, *, external_id: str, name: str) -> Account:
    """A new account; ``AccountExistsError`` when the external id is taken."""
    values = {"external_id": clean_external_id(external_id), "name": clean_name(name)}
    statement = insert(Account).values(values).on_conflict_do_nothing(index_elements=["external_id"])
    account = (await session.scalars(statement.returning(Account))).one_or_none()
    if account is None:
        existing = await _find(session, external_id)
        raise AccountExistsError("An account with this external id exists already.", id=existing.id)
    return account


async def upsert_account(session: AsyncSession, external_id: str, name: str | None = None) -> Account:
    """The account of this external id, made if new, renamed if ``name`` is another.

    Without a name a new account is called by its external id. Any number of callers at once make one row.
    """
    clean_external_id(external_id)
    new_name = clean_name(name) if name is not None else None
    insertion = insert(Account).values(external_id=external_id, name=new_name or external_id[:200])
    if new_name is None:
        await session.execute(insertion.on_conflict_do_nothing(index_elements=["external_id"]))
    else:
        await session.execute(
            insertion.on_conflict_do_update(
                index_elements=["external_id"],
                set_={"name": new_name, "updated_at": func.now()},
                where=Account.name != new_name,
            )
        )
    return await _find(session, external_id)


async def _find(session: AsyncSession, external_id: str) -> Account:
    statement = select(Account).where(Account.external_id == external_id)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def get_account(session: AsyncSession, account_id: UUID, *, principal: Principal) -> Account:
    """The account; ``NotFoundError`` also when it is not the customer's own."""
    visible = principal.is_staff or principal.account_id == account_id
    account = await session.get(Account, account_id) if visible else None
    if account is None:
        raise NotFoundError("There is no such account.")
    return account


async def list_accounts(session: AsyncSession, *, limit: int, cursor: str | None = None) -> Sequence[Account]:
    """Newest first; one row more than ``limit`` when there are more."""
    statement = after(select(Account), key=Account.created_at, id=Account.id, cursor=cursor, limit=limit)
    return (await session.scalars(statement)).all()


async def update_account(
    session: AsyncSession, account_id: UUID, *, name: str | UnsetType = UNSET
) -> Account:
    """Change what is given; ``NotFoundError`` when there is no such account."""
    account = await session.get(Account, account_id, with_for_update=True)
    if account is None:
        raise NotFoundError("There is no such account.")
    if name is UNSET or (new_name := clean_name(name)) == account.name:
        return account
    statement = update(Account).where(Account.id == account_id).values(name=new_name).returning(Account)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()
