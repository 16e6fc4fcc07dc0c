"""What a case may point to: things of its own account that exist, and that its customer may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.exceptions import UnknownReferenceError
from app.billing.models import Case, Dispute, Invoice, Payment, Subscription
from app.billing.service.access import cases_of, money_of
from app.identity.constants import Role
from app.identity.models import Account, Person
from app.identity.principal import Principal

THINGS: Mapping[str, type[Any]] = {
    "subscription_id": Subscription,
    "invoice_id": Invoice,
    "payment_id": Payment,
    "dispute_id": Dispute,
}


async def referred(
    session: AsyncSession, values: Mapping[str, Any], *, principal: Principal
) -> dict[str, Any]:
    """``values``, whose references exist and are of one account, which they name if nobody did.

    ``UnknownReferenceError`` names the member. A customer may only point to what they may see.
    """
    found = dict(values)
    await _check_people(session, found)
    for name, model in THINGS.items():
        thing_id = found.get(name)
        if thing_id is None:
            continue
        owner = (
            await session.execute(
                select(model.account_id).where(model.id == thing_id, money_of(principal, model.account_id))
            )
        ).one_or_none()
        account_id = found.get("account_id")
        if owner is None or (account_id is not None and owner[0] not in (None, account_id)):
            raise unknown(name)
        found["account_id"] = account_id or owner[0]
    return found


async def check(
    session: AsyncSession, case_id: UUID, *, account_id: UUID | None, principal: Principal
) -> None:
    """``UnknownReferenceError`` unless the case exists, is visible, and is of that account or of none."""
    statement = select(Case.account_id).where(Case.id == case_id, cases_of(principal))
    owner = (await session.execute(statement)).one_or_none()
    if owner is None or (account_id is not None and owner[0] not in (None, account_id)):
        raise unknown("case_id")


def unknown(field: str) -> UnknownReferenceError:
    """Of a member that names nothing."""
    return UnknownReferenceError(
        f"{field} names nothing that belongs here.",
        field=field,
        errors=[{"field": field, "message": "Unknown, or of another account"}],
    )


async def _check_people(session: AsyncSession, values: dict[str, Any]) -> None:
    account_id = values.get("account_id")
    if account_id is not None and await session.get(Account, account_id) is None:
        raise unknown("account_id")
    if (requester_id := values.get("requester_id")) is not None:
        person = await session.get(Person, requester_id)
        if person is None or person.erased_at is not None:
            raise unknown("requester_id")
        if account_id is not None and person.account_id not in (None, account_id):
            raise unknown("requester_id")
        values["account_id"] = account_id or person.account_id
    if (assignee_id := values.get("assignee_id")) is not None:
        person = await session.get(Person, assignee_id)
        if person is None or not person.active or Role(person.role) < Role.agent:
            raise unknown("assignee_id")
