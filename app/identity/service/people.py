"""People: who may see, make and change whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import NotFoundError, PermissionDeniedError
from app.identity.constants import NAME_MAX, Role
from app.identity.exceptions import PersonExistsError, UnknownAccountError
from app.identity.models import Account, Person
from app.identity.principal import Principal
from app.identity.utils import clean_email, clean_external_id, clean_name, clean_text
from app.pagination import after


async def create_person(
    session: AsyncSession,
    *,
    principal: Principal,
    name: str,
    external_id: str | None = None,
    email: str | None = None,
    account_id: UUID | None = None,
    role: Role = Role.customer,
) -> Person:
    """A new person. Staff make customers, an admin anybody.

    Errors: ``PermissionDeniedError``, ``PersonExistsError``, ``UnknownAccountError``.
    """
    _require_admin_for_staff(principal, role)
    values = {
        "external_id": clean_external_id(external_id) if external_id is not None else None,
        "name": clean_name(name),
        "email": clean_email(email) if email is not None else None,
        "account_id": await _existing_account(session, account_id),
        "role": role,
    }
    statement = insert(Person).values(values).on_conflict_do_nothing(index_elements=["external_id"])
    person = (await session.scalars(statement.returning(Person))).one_or_none()
    if person is None:
        taken = await session.scalar(select(Person.id).where(Person.external_id == external_id))
        raise PersonExistsError("A person with this external id exists already.", id=taken)
    return person


async def upsert_person(
    session: AsyncSession,
    external_id: str,
    *,
    name: str | UnsetType = UNSET,
    email: str | UnsetType | None = UNSET,
    account_id: UUID | UnsetType | None = UNSET,
    role: Role | UnsetType = UNSET,
) -> Person:
    """The person of this external id, made if new, changed only where a given value is another.

    Without a name a new person is called by their external id, without a role they are a customer. Any number
    of callers at once make one row. Never reactivates anybody.
    """
    changes = _given(name=name, email=email, account_id=account_id, role=role)
    values = {"name": clean_external_id(external_id)[:NAME_MAX], "role": Role.customer} | changes
    insertion = insert(Person).values(values | {"external_id": external_id})
    if changes:
        insertion = insertion.on_conflict_do_update(
            index_elements=["external_id"],
            set_=changes | {"updated_at": func.now()},
            where=or_(*(getattr(Person, column).is_distinct_from(new) for column, new in changes.items())),
        )
    else:
        insertion = insertion.on_conflict_do_nothing(index_elements=["external_id"])
    await session.execute(insertion)
    statement = select(Person).where(Person.external_id == external_id)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def get_person(session: AsyncSession, person_id: UUID, *, principal: Principal) -> Person:
    """The person; ``NotFoundError`` also when a customer asks for anybody else."""
    visible = principal.is_staff or principal.person_id == person_id
    person = await session.get(Person, person_id) if visible else None
    if person is None:
        raise NotFoundError("There is no such person.")
    return person


async def list_people(
    session: AsyncSession,
    *,
    limit: int,
    cursor: str | None = None,
    account_id: UUID | None = None,
    role: Role | None = None,
    text: str | None = None,
) -> Sequence[Person]:
    """Newest first, narrowed to an account, a role, or a text in name, e-mail or external id.

    One row more than ``limit`` when there are more.
    """
    statement = select(Person)
    if account_id is not None:
        statement = statement.where(Person.account_id == account_id)
    if role is not None:
        statement = statement.where(Person.role == role)
    if text is not None:
        wanted = clean_text(text, field="q", maximum=NAME_MAX)
        columns = (Person.name, Person.email, Person.external_id)
        statement = statement.where(or_(*(column.icontains(wanted, autoescape=True) for column in columns)))
    statement = after(statement, key=Person.created_at, id=Person.id, cursor=cursor, limit=limit)
    return (await session.scalars(statement)).all()


async def update_person(
    session: AsyncSession,
    person_id: UUID,
    *,
    principal: Principal,
    name: str | UnsetType = UNSET,
    email: str | UnsetType | None = UNSET,
    account_id: UUID | UnsetType | None = UNSET,
    role: Role | UnsetType = UNSET,
    active: bool | UnsetType = UNSET,
) -> Person:
    """Change what is given. Agents change customers, leads also deactivate them; admins do the rest.

    Errors: ``NotFoundError``, ``PermissionDeniedError``, ``UnknownAccountError``.
    """
    person = await session.get(Person, person_id, with_for_update=True)
    if person is None:
        raise NotFoundError("There is no such person.")
    _require_admin_for_staff(principal, person.role)
    if role is not UNSET and not principal.at_least(Role.admin):
        raise PermissionDeniedError("Only an admin changes roles.")
    if active is not UNSET and not principal.at_least(Role.lead):
        raise PermissionDeniedError("Only a lead or an admin deactivates people.")
    changes = _given(name=name, email=email, account_id=account_id, role=role, active=active)
    await _existing_account(session, changes.get("account_id"))
    changed = {column: new for column, new in changes.items() if new != getattr(person, column)}
    if not changed:
        return person
    statement = update(Person).where(Person.id == person_id).values(changed).returning(Person)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


def _require_admin_for_staff(principal: Principal, role: Role) -> None:
    if role > Role.customer and not principal.at_least(Role.admin):
        raise PermissionDeniedError("Only an admin makes or changes members of the staff.")


def _given(**values: Any) -> dict[str, Any]:
    """What is not UNSET, cleaned."""
    given: Mapping[str, Any] = {column: value for column, value in values.items() if value is not UNSET}
    cleaners = {"name": clean_name, "email": clean_email}
    return {
        column: cleaners[column](value) if column in cleaners and value is not None else value
        for column, value in given.items()
    }


async def _existing_account(session: AsyncSession, account_id: UUID | None) -> UUID | None:
    if account_id is not None and await session.get(Account, account_id) is None:
        raise UnknownAccountError("There is no such account.", account_id=account_id)
    return account_id
