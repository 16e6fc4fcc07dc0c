"""Accounts and people as the host app knows them, by its own ids: made if new, changed where they differ."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import NAME_MAX, Role
from app.identity.exceptions import PersonExistsError, UnknownAccountError
from app.identity.models import Account, Person
from app.identity.principal import Principal
from app.identity.service.people import create_person, require_change, upsert_person


async def put_person(
    session: AsyncSession,
    *,
    principal: Principal,
    external_id: str,
    account_external_id: str | UnsetType | None = UNSET,
    **given: Any,
) -> Person:
    """One person by external id, with the rights that making and changing them one by one would ask for.

    Errors: those of ``create_person`` and ``update_person``.
    """
    if account_external_id is not UNSET:
        given["account_id"] = await _account_id(session, account_external_id)
    statement = select(Person).where(Person.external_id == external_id).with_for_update()
    statement = statement.execution_options(populate_existing=True)
    person = await session.scalar(statement)
    if person is None:
        values = {name: value for name, value in given.items() if value is not UNSET}
        values.setdefault("name", external_id[:NAME_MAX])
        try:
            return await create_person(session, principal=principal, external_id=external_id, **values)
        except PersonExistsError:  # somebody else was faster: then it is a change
            person = (await session.scalars(statement)).one()
    role: Role | UnsetType = given.get("role", UNSET)
    require_change(principal, person, role=UNSET if role == person.role else role)
    return await upsert_person(session, external_id, actor=principal, **given)


async def _account_id(session: AsyncSession, external_id: str | None) -> Any:
    if external_id is None:
        return None
    found = await session.scalar(select(Account.id).where(Account.external_id == external_id))
    if found is None:
        raise UnknownAccountError("There is no account with this external id.", account=external_id)
    return found
