"""What an event says of a change: the fields that changed, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.models import Account, Person
from app.identity.principal import Principal

ACCOUNT_FIELDS = ("external_id", "name")
PERSON_FIELDS = ("external_id", "name", "email", "account_id", "role", "active", "sees_account")


def fields_of(row: Account | Person) -> dict[str, Any]:
    """The fields of a row that its events tell."""
    names = ACCOUNT_FIELDS if isinstance(row, Account) else PERSON_FIELDS
    return {name: getattr(row, name) for name in names}


def changed(row: Account | Person, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the wanted values that the row does not have."""
    return {name: value for name, value in wanted.items() if getattr(row, name) != value}


async def record_account(
    session: AsyncSession, account: Account, *, actor: Principal, before: Mapping[str, Any] | None = None
) -> None:
    """``account.created``, or ``account.updated`` from the values ``before``. For staff."""
    await events.record(
        session,
        "account.created" if before is None else "account.updated",
        subject=Subject("account", account.id),
        actor=actor,
        before=before,
        after=fields_of(account) if before is None else {name: getattr(account, name) for name in before},
        account_id=account.id,
    )


async def record_person(
    session: AsyncSession, person: Person, *, actor: Principal, before: Mapping[str, Any] | None = None
) -> None:
    """``person.created``, or ``person.updated`` from the values ``before``. For staff.

    Who makes members of the staff, and what becomes of them, is also in the audit.
    """
    role = (before or {}).get("role", person.role)
    await events.record(
        session,
        "person.created" if before is None else "person.updated",
        subject=Subject("person", person.id),
        actor=actor,
        before=before,
        after=fields_of(person) if before is None else {name: getattr(person, name) for name in before},
        account_id=person.account_id,
        person_id=person.id,
        audit=max(role, person.role) > "customer",
    )
