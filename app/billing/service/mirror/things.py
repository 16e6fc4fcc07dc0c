"""Recording what a provider says: subscriptions, invoices, payments, disputes.

Each function takes the whole state of one thing. Things that it names by the provider's ids and that nobody
has heard of yet become rows of their own, unknown but for the id, and are filled in when they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import PaymentStatus
from app.billing.models import Dispute, Invoice, Payment, Subscription
from app.billing.service import disputes, ledger, payments
from app.billing.service.mirror import lines as invoice_lines
from app.billing.service.mirror.customers import follow_disputes, follow_invoice, follow_payment
from app.billing.service.mirror.hearing import (
    Heard,
    Owner,
    fill,
    keep,
    locked,
    own,
    owned,
    owner_of,
    renewed,
    seen_of,
)
from app.billing.service.mirror.lines import LineHeard
from app.billing.service.mirror.references import invoice_row, payment_row, stub_of, subscription_id
from app.billing.utils import ordering
from app.billing.utils.money import exponent_of
from app.billing.utils.ordering import Seen
from app.identity.principal import SYSTEM, Principal


async def record_subscription(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    customer: str | None,
    currency: str,
    account_id: UUID | None = None,
    actor: Principal = SYSTEM,
    **values: Any,
) -> Subscription:
    """A subscription; ``values``: columns of it."""
    owner = await owner_of(session, heard, customer=customer, account_id=account_id)
    values |= {"currency": currency, "exponent": exponent_of(currency)}
    row, is_new = await locked(session, Subscription, heard, external_id, values)
    seen = Seen(rank=ordering.SUBSCRIPTION[values["status"]], at=heard.at, event=heard.event)
    if is_new or seen_of(row).is_before(seen, time_first=True):
        own(row, owner)
        await keep(session, row, values | owned(row), seen, actor=actor, is_new=is_new)
    else:
        own(
            row,
            Owner(
                customer_id=row.customer_id or owner.customer_id,
                account_id=row.account_id or owner.account_id,
            ),
        )
        fill(row, values)
        await session.flush()
    return row


async def record_invoice(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    customer: str | None,
    currency: str,
    lines: Sequence[LineHeard] | None = None,
    subscription: str | None = None,
    account_id: UUID | None = None,
    actor: Principal = SYSTEM,
    **values: Any,
) -> Invoice:
    """An invoice with its lines; ``subtotal``, ``tax`` and ``total`` may be left out where lines are given.

    Errors: ``ContradictionError`` where the sums contradict each other or the lines.
    """
    owner = await owner_of(session, heard, customer=customer, account_id=account_id)
    values |= {"currency": currency, "exponent": exponent_of(currency)}
    values |= invoice_lines.sums(values, lines)
    if subscription is not None:
        values["subscription_id"] = await subscription_id(session, heard, subscription, currency)
    row, is_new = await locked(session, Invoice, heard, external_id, stub_of(currency))
    seen = Seen(rank=ordering.INVOICE[values["status"]], at=heard.at, event=heard.event)
    own(row, owner)
    if is_new or seen_of(row).is_before(seen):
        kept = await keep(session, row, values | owned(row), seen, actor=actor, is_new=is_new)
        if lines is not None and await invoice_lines.replace(session, row, lines) and not kept:
            await renewed(session, row, actor=actor)
    else:
        fill(row, values)
        await session.flush()
        if lines and not await invoice_lines.has_any(session, row):
            await invoice_lines.replace(session, row, lines)  # the newer message left them out
    await ledger.bring_up(session, row)
    await follow_invoice(session, row, actor=actor)
    return row


async def record_payment(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    customer: str | None,
    currency: str,
    charge: str | None = None,
    invoice: str | None = None,
    account_id: UUID | None = None,
    actor: Principal = SYSTEM,
    **values: Any,
) -> Payment:
    """A payment. ``charge``: the provider's id of its charge, where that is another one."""
    owner = await owner_of(session, heard, customer=customer, account_id=account_id)
    bill = None if invoice is None else await invoice_row(session, heard, invoice, currency)
    row = await payment_row(session, heard, payment=external_id, charge=charge, currency=currency)
    seen = Seen(rank=ordering.PAYMENT[values["status"]], at=heard.at, event=heard.event)
    values |= {"currency": currency, "exponent": exponent_of(currency)}
    if row.charge_id is None or values["status"] == PaymentStatus.succeeded:
        values |= {} if charge is None else {"charge_id": charge}
    if bill is not None:
        values["invoice_id"] = bill.id
        owner = replace(owner, account_id=owner.account_id or bill.account_id)
    own(row, owner)
    if row.seen_at is None or seen_of(row).is_before(seen):
        is_new = row.seen_at is None
        await keep(session, row, values | owned(row), seen, actor=actor, is_new=is_new)
    else:
        fill(row, values)
    await session.flush()
    await payments.recount(session, row, heard=True)
    await ledger.bring_up(session, row)
    await follow_payment(session, row)
    await follow_disputes(session, row, actor=actor)
    return row


async def record_dispute(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    currency: str,
    payment: str | None = None,
    charge: str | None = None,
    customer: str | None = None,
    account_id: UUID | None = None,
    actor: Principal = SYSTEM,
    **values: Any,
) -> Dispute:
    """A dispute of a payment, which ``payment`` or ``charge`` names."""
    owner = await owner_of(session, heard, customer=customer, account_id=account_id)
    paid = await payment_row(session, heard, payment=payment, charge=charge, currency=currency)
    owner = replace(owner, account_id=owner.account_id or paid.account_id)
    values |= {"currency": currency, "exponent": exponent_of(currency), "payment_id": paid.id}
    row, is_new = await locked(session, Dispute, heard, external_id, values)
    seen = Seen(rank=ordering.DISPUTE[values["status"]], at=heard.at, event=heard.event)
    own(row, owner)
    if is_new or seen_of(row).is_before(seen):
        await keep(session, row, values | owned(row), seen, actor=actor, is_new=is_new)
    else:
        fill(row, values)
    await session.flush()
    await payments.recount(session, paid, heard=True)
    await ledger.bring_up(session, row)
    await disputes.followed(session, row, actor=actor)
    return row
