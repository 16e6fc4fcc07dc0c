"""Accounts: staff see all, a customer their own."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import NotFoundError
from app.identity.constants import NAME_MAX
from app.identity.exceptions import AccountExistsError
from app.identity.models import Account
from app.identity.principal import SYSTEM, Principal
from app.identity.service.changes import changed, record_account
from app.identity.utils import clean_external_id, clean_name, clean_text
from app.listing import Listing, matching
from app.preconditions import ANYTHING, Expected

ACCOUNTS = Listing(
    Account, sorts={"created_at": Account.created_at, "name": Account.name}, default="-created_at"
)


async def create_account(
    session: AsyncSession, *, external_id: str, name: str, actor: Principal = SYSTEM
) -> Account:
    """A new account; ``AccountExistsError`` when the external id is taken."""
    account = await _insert(session, clean_external_id(external_id), clean_name(name), actor=actor)
    if account is None:
        existing = (await session.scalars(_by_external_id(external_id))).one()
        raise AccountExistsError("An account with this external id exists already.", id=existing.id)
    return account


async def upsert_account(
    session: AsyncSession, external_id: str, name: str | None = None, *, actor: Principal = SYSTEM
) -> Account:
    """The account of this external id, made if new, renamed if ``name`` is another.

    Without a name a new account is called by its external id. Any number of callers at once make one row.
    """
    new_name = clean_name(name) if name is not None else None
    statement = _by_external_id(clean_external_id(external_id))
    account = await session.scalar(statement)
    if account is None:
        account = await _insert(session, external_id, new_name or external_id[:NAME_MAX], actor=actor)
        if account is not None:
            return account
        account = (await session.scalars(statement)).one()
    if new_name is None or account.name == new_name:
        return account
    locked = await session.get_one(Account, account.id, with_for_update=True, populate_existing=True)
    return await _change(session, locked, name=new_name, actor=actor)


async def _insert(session: AsyncSession, external_id: str, name: str, *, actor: Principal) -> Account | None:
    """The new account; None when somebody else has made it."""
    statement = insert(Account).values(external_id=external_id, name=name)
    statement = statement.on_conflict_do_nothing(index_elements=["external_id"])
    account = (await session.scalars(statement.returning(Account))).one_or_none()
    if account is not None:
        await record_account(session, account, actor=actor)
    return account


def _by_external_id(external_id: str) -> Select[Account]:
    return select(Account).where(Account.external_id == external_id).execution_options(populate_existing=True)


async def get_account(session: AsyncSession, account_id: UUID, *, principal: Principal) -> Account:
    """The account; ``NotFoundError`` also when it is not the customer's own."""
    visible = principal.is_staff or principal.account_id == account_id
    account = await session.get(Account, account_id) if visible else None
    if account is None:
        raise NotFoundError("There is no such account.")
    return account


def accounts_like(text: str | None) -> Select[Account]:
    """Accounts with a text in their name or external id."""
    wanted = None if text is None else clean_text(text, field="q", maximum=NAME_MAX)
    return select(Account).where(matching(wanted, Account.name, Account.external_id))


async def update_account(
    session: AsyncSession,
    account_id: UUID,
    *,
    name: str | UnsetType = UNSET,
    expected: Expected = ANYTHING,
    actor: Principal = SYSTEM,
) -> Account:
    """Change what is given. Errors: ``NotFoundError``, ``VersionMismatchError``."""
    account = await session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if account is None:
        raise NotFoundError("There is no such account.")
    expected.check(account.version)
    return account if name is UNSET else await _change(session, account, name=clean_name(name), actor=actor)


async def _change(session: AsyncSession, account: Account, *, name: str, actor: Principal) -> Account:
    """``account`` is locked."""
    if not changed(account, {"name": name}):
        return account
    before = {"name": account.name}
    statement = update(Account).where(Account.id == account.id).values(name=name).returning(Account)
    account = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    await record_account(session, account, actor=actor, before=before)
    return account
