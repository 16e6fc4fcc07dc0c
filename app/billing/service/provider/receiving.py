"""Taking in a provider's event: once an id, in one transaction with everything that it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Provider
from app.billing.models import ProviderEvent
from app.billing.schemas.provider import EventOutcome
from app.billing.service import mirror
from app.billing.service.mirror import Heard
from app.billing.service.provider.stripe import Call, StripeEvent
from app.identity.models import Account

RECORDERS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "subscription": mirror.record_subscription,
    "invoice": mirror.record_invoice,
    "payment": mirror.record_payment,
    "refund": mirror.record_refund,
    "dispute": mirror.record_dispute,
    "credit_note": mirror.record_credit_note,
    "invoice_payment": mirror.link_payment,
}


async def receive(session: AsyncSession, event: StripeEvent) -> EventOutcome:
    """Apply an event of Stripe's; a second one of the same id waits for the first and does nothing."""
    made = insert(ProviderEvent).values(
        provider=str(Provider.stripe),
        external_id=event.id,
        type=event.type,
        object_id=event.object_id,
        outcome=str(EventOutcome.ignored),
        happened_at=event.at,
    )
    event_id = await session.scalar(made.on_conflict_do_nothing().returning(ProviderEvent.id))
    if event_id is None:
        return EventOutcome.duplicate
    if not event.calls:
        return EventOutcome.ignored
    heard = Heard(provider=Provider.stripe, at=event.at, event=event.id)
    for call in event.calls:
        await _apply(session, heard, call)
    await session.execute(
        update(ProviderEvent).where(ProviderEvent.id == event_id).values(outcome=str(EventOutcome.applied))
    )
    return EventOutcome.applied


async def _apply(session: AsyncSession, heard: Heard, call: Call) -> None:
    if call.thing == "customer":
        account_id = await _account(session, call.values["account"])
        await mirror.record_customer(session, heard, call.external_id, account_id=account_id)
        return
    await RECORDERS[call.thing](session, heard, call.external_id, **call.values)


async def _account(session: AsyncSession, name: object) -> UUID | None:
    """Our account by the external id, or the id, that the customer's metadata carries."""
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    found = await session.scalar(select(Account.id).where(Account.external_id == name))
    if found is not None:
        return found
    try:
        return await session.scalar(select(Account.id).where(Account.id == UUID(name)))
    except ValueError:
        return None
