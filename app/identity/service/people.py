"""People: who may see, make and change whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import Select, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import NotFoundError, PermissionDeniedError
from app.identity.constants import NAME_MAX, Role
from app.identity.exceptions import (
    PersonDeactivatedError,
    PersonErasedError,
    PersonExistsError,
    UnknownAccountError,
)
from app.identity.models import Account, Person
from app.identity.principal import SYSTEM, Principal
from app.identity.service.changes import changed, record_person
from app.identity.utils import (
    clean_email,
    clean_external_id,
    clean_name,
    clean_text,
    erased_subject,
    subject_lock,
)
from app.listing import Listing, any_of, matching
from app.preconditions import ANYTHING, Expected

PEOPLE = Listing(Person, sorts={"created_at": Person.created_at, "name": Person.name}, default="-created_at")
LOCK_SUBJECT = text("select pg_advisory_xact_lock(:number)")


async def create_person(
    session: AsyncSession,
    *,
    principal: Principal,
    name: str,
    external_id: str | None = None,
    email: str | None = None,
    account_id: UUID | None = None,
    role: Role = Role.customer,
    sees_account: bool = False,
) -> Person:
    """A new person. Staff make customers, an admin anybody.

    Errors: ``PermissionDeniedError``, ``PersonExistsError``, ``PersonErasedError``, ``UnknownAccountError``.
    """
    _require_admin_for_staff(principal, role)
    values = {
        "external_id": clean_external_id(external_id) if external_id is not None else None,
        "name": clean_name(name),
        "email": clean_email(email) if email is not None else None,
        "account_id": await _existing_account(session, account_id),
        "role": role,
        "sees_account": sees_account,
    }
    person = await _insert(session, values, actor=principal)
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
    sees_account: bool | UnsetType = UNSET,
    actor: Principal = SYSTEM,
) -> Person:
    """The person of this external id, made if new, changed only where a given value is another.

    Without a name a new person is called by their external id, without a role they are a customer. Any number
    of callers at once make one row. Never reactivates anybody. ``PersonErasedError``.
    """
    wanted = _given(name=name, email=email, account_id=account_id, role=role, sees_account=sees_account)
    statement = _by_external_id(clean_external_id(external_id))
    person = await session.scalar(statement)
    if person is None:
        values = {"name": external_id[:NAME_MAX], "role": Role.customer, "external_id": external_id} | wanted
        person = await _insert(session, values, actor=actor)
        if person is not None:
            return person
        person = (await session.scalars(statement)).one()
    if not changed(person, wanted):
        return person
    locked = await session.get_one(Person, person.id, with_for_update=True, populate_existing=True)
    if locked.erased_at is not None:  # since it was read
        raise PersonErasedError("The person of this external id has been erased.")
    return await _change(session, locked, wanted, actor=actor)


async def _insert(session: AsyncSession, values: Mapping[str, Any], *, actor: Principal) -> Person | None:
    """The new person; None when somebody else has made it.

    The lock comes before the look: an erasure takes it too, and by then has left its mark or has not begun.
    """
    if (external_id := values["external_id"]) is not None:
        await session.execute(LOCK_SUBJECT, {"number": subject_lock(external_id)})
        erased = select(Person.id).where(Person.erased_subject == erased_subject(external_id))
        if await session.scalar(erased):
            raise PersonErasedError("The person of this external id has been erased.")
    statement = insert(Person).values(dict(values)).on_conflict_do_nothing(index_elements=["external_id"])
    person = (await session.scalars(statement.returning(Person))).one_or_none()
    if person is not None:
        await record_person(session, person, actor=actor)
    return person


def _by_external_id(external_id: str) -> Select[Person]:
    return select(Person).where(Person.external_id == external_id).execution_options(populate_existing=True)


async def get_person(session: AsyncSession, person_id: UUID, *, principal: Principal) -> Person:
    """The person; ``NotFoundError`` also when a customer asks for anybody else."""
    visible = principal.is_staff or principal.person_id == person_id
    person = await session.get(Person, person_id) if visible else None
    if person is None:
        raise NotFoundError("There is no such person.")
    return person


def people_like(
    text: str | None = None,
    *,
    accounts: Sequence[UUID] | None = None,
    roles: Sequence[Role] | None = None,
    active: bool | None = None,
) -> Select[Person]:
    """People of these accounts and roles, with a text in name, e-mail or external id."""
    wanted = None if text is None else clean_text(text, field="q", maximum=NAME_MAX)
    return select(Person).where(
        any_of(Person.account_id, accounts),
        any_of(Person.role, roles),
        any_of(Person.active, None if active is None else [active]),
        matching(wanted, Person.name, Person.email, Person.external_id),
    )


async def update_person(
    session: AsyncSession,
    person_id: UUID,
    *,
    principal: Principal,
    expected: Expected = ANYTHING,
    name: str | UnsetType = UNSET,
    email: str | UnsetType | None = UNSET,
    account_id: UUID | UnsetType | None = UNSET,
    role: Role | UnsetType = UNSET,
    active: bool | UnsetType = UNSET,
    sees_account: bool | UnsetType = UNSET,
) -> Person:
    """Change what is given. Agents change customers, leads also deactivate them; admins do the rest.

    Errors: ``NotFoundError``, ``PermissionDeniedError``, ``VersionMismatchError``, ``PersonErasedError``,
    ``UnknownAccountError``.
    """
    person = await session.get(Person, person_id, with_for_update=True, populate_existing=True)
    if person is None:
        raise NotFoundError("There is no such person.")
    require_change(principal, person, role=role, active=active)
    expected.check(person.version)
    if person.erased_at is not None:
        raise PersonErasedError("This person has been erased.")
    wanted = _given(
        name=name, email=email, account_id=account_id, role=role, active=active, sees_account=sees_account
    )
    await _existing_account(session, wanted.get("account_id"))
    return await _change(session, person, wanted, actor=principal)


async def _change(
    session: AsyncSession, person: Person, wanted: Mapping[str, Any], *, actor: Principal
) -> Person:
    """``person`` is locked."""
    changes = changed(person, wanted)
    if not changes:
        return person
    before = {name: getattr(person, name) for name in changes}
    statement = update(Person).where(Person.id == person.id).values(changes).returning(Person)
    person = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    await record_person(session, person, actor=actor, before=before)
    return person


async def hold_person(session: AsyncSession, person_id: UUID | None) -> None:
    """Before something is written that belongs to a person: let no erasure come between now and the commit.

    Waits for one under way, then raises ``PersonDeactivatedError``. Takes the lock that a foreign key takes,
    which other changes of the person do not wait for. None, for who is no person, passes.
    """
    if person_id is None:
        return
    statement = (
        select(Person.erased_at).where(Person.id == person_id).with_for_update(key_share=True, read=True)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None or row.erased_at is not None:
        raise PersonDeactivatedError("The person has been erased.")


def require_change(
    principal: Principal,
    person: Person,
    *,
    role: Role | UnsetType = UNSET,
    active: bool | UnsetType = UNSET,
) -> None:
    """``PermissionDeniedError`` unless the principal may change this person like this."""
    _require_admin_for_staff(principal, person.role)
    if role is not UNSET and not principal.at_least(Role.admin):
        raise PermissionDeniedError("Only an admin changes roles.")
    if active is not UNSET and not principal.at_least(Role.lead):
        raise PermissionDeniedError("Only a lead or an admin deactivates people.")


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
