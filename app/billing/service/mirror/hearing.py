"""Hearing of a provider's things: whose they are, which state holds, what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import Provider
from app.billing.models import (
    BillingCustomer,
    CreditNote,
    Dispute,
    Invoice,
    Payment,
    Refund,
    Subscription,
)
from app.billing.utils.ordering import Seen
from app.events import Subject
from app.identity.principal import Principal
from app.redaction import redact

FRESH = {"populate_existing": True}
Thing = Subscription | Invoice | Payment | Refund | Dispute | CreditNote
T = TypeVar("T", Subscription, Invoice, Payment, Dispute, CreditNote)

TYPES: Mapping[type[Any], str] = {
    Subscription: "subscription",
    Invoice: "invoice",
    Payment: "payment",
    Refund: "refund",
    Dispute: "dispute",
    CreditNote: "credit_note",
}
TEXTS = frozenset({"description", "note", "plan_name", "reason"})  # people may have written them
UNTOLD = frozenset({"description", "note", "seen_at", "seen_rank", "seen_event", "updated_at"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """A message: of which provider, of what moment there, and under which id, if it has one."""

    provider: Provider
    at: datetime
    event: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose a thing is: the provider's customer, and the account as far as it is known."""

    customer_id: UUID | None
    account_id: UUID | None


async def owner_of(
    session: AsyncSession, heard: Heard, *, customer: str | None, account_id: UUID | None
) -> Owner:
    """The customer's row, made when it is new, with the account that is given or known already."""
    if customer is None:
        return Owner(customer_id=None, account_id=account_id)
    row = await customer_row(session, heard.provider, customer)
    return Owner(customer_id=row.id, account_id=account_id or row.account_id)


async def customer_row(
    session: AsyncSession, provider: Provider, external_id: str, *, changes: bool = False
) -> BillingCustomer:
    """The provider's customer, made when it is new, under a lock that others share unless it ``changes``:
    an account that becomes known waits for things that are being heard of, and finds them."""
    values = {"provider": str(provider), "external_id": external_id}
    made = insert(BillingCustomer).values(values).on_conflict_do_nothing()
    await session.execute(made)
    statement = (
        select(BillingCustomer)
        .where(BillingCustomer.provider == provider, BillingCustomer.external_id == external_id)
        .with_for_update(read=not changes)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def locked(
    session: AsyncSession, model: type[T], heard: Heard, external_id: str, stub: Mapping[str, Any]
) -> tuple[T, bool]:
    """The thing under its provider's id, locked, and whether it was made just now, from ``stub``."""
    values = {"provider": str(heard.provider), "external_id": external_id} | dict(stub)
    made_id = await session.scalar(insert(model).values(values).on_conflict_do_nothing().returning(model.id))
    statement = (
        select(model)
        .where(model.provider == heard.provider, model.external_id == external_id)
        .with_for_update(key_share=True)
    )
    row = (await session.scalars(statement, execution_options=FRESH)).one()
    return row, made_id is not None


def seen_of(row: Thing) -> Seen:
    """What is known of a thing."""
    return Seen(rank=row.seen_rank, at=row.seen_at, event=row.seen_event)


def own(row: Any, owner: Owner) -> None:
    """Let a thing belong to who is known now; nobody is forgotten."""
    if owner.customer_id is not None and row.customer_id != owner.customer_id:
        row.customer_id = owner.customer_id
    if owner.account_id is not None and row.account_id != owner.account_id:
        row.account_id = owner.account_id


async def keep(
    session: AsyncSession, row: Any, values: Mapping[str, Any], seen: Seen, *, actor: Principal, is_new: bool
) -> bool:
    """Write what holds now into a locked row and tell of it; whether anything but the hearing changed.

    ``values``: columns; None is what the message leaves out, which stays as it was. The event names the
    columns that changed, without texts.
    """
    given = {name: _redacted(name, value) for name, value in values.items() if value is not None}
    changed = {name: value for name, value in given.items() if getattr(row, name) != value}
    before = {name: getattr(row, name) for name in changed}
    for name, value in changed.items():
        setattr(row, name, value)
    row.seen_rank, row.seen_at, row.seen_event = seen.rank, seen.at, seen.event
    if changed and not is_new:
        row.version += 1
        row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    if changed or is_new:
        await tell(session, row, before=None if is_new else before, changed=changed, actor=actor)
    return bool(changed) or is_new


def fill(row: Any, values: Mapping[str, Any]) -> None:
    """What an older message tells and the newer one left out."""
    for name, value in values.items():
        if value is not None and getattr(row, name) is None:
            setattr(row, name, _redacted(name, value))


def owned(row: Any) -> dict[str, Any]:
    """The columns that say whose a thing is."""
    return {"customer_id": row.customer_id, "account_id": row.account_id}


async def renewed(session: AsyncSession, row: Any, *, actor: Principal) -> None:
    """A change of what belongs to a locked thing and is no column of it."""
    row.version += 1
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    await tell(session, row, before={}, changed={}, actor=actor)


async def tell(
    session: AsyncSession,
    row: Any,
    *,
    before: Mapping[str, Any] | None,
    changed: Mapping[str, Any],
    actor: Principal,
) -> None:
    """The event of a thing that was heard of or changed."""
    kind = TYPES[type(row)]
    names = [name for name in changed if name not in UNTOLD]
    identity = {"provider": row.provider, "external_id": row.external_id} if before is None else {}
    await events.record(
        session,
        f"{kind}.created" if before is None else f"{kind}.updated",
        subject=Subject(kind, row.id),
        actor=actor,
        before=None if before is None else {name: _plain(before[name]) for name in names},
        after=identity | {name: _plain(getattr(row, name)) for name in names} | {"version": row.version},
        account_id=row.account_id,
        customer_visible=row.account_id is not None,
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _redacted(name: str, value: Any) -> Any:
    return redact(value) if name in TEXTS else value
