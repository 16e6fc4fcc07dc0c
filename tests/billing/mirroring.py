"""What tests of the mirror share: messages of a provider, and what the tables say after them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from app.billing.constants import (
    DisputeStatus,
    InvoiceStatus,
    PaymentStatus,
    Provider,
    RefundStatus,
    SubscriptionStatus,
)
from app.billing.service import mirror
from app.billing.service.mirror import Heard, LineHeard
from app.database import Database
from app.identity import service as identity

DAY = datetime(2026, 11, 2, 9, tzinfo=UTC)

STATE = """
select 'subscription' as kind, status, account_id is not null as known, unit_amount as a, quantity as b,
    0 as c, 0 as d
from subscription where external_id like :name
union all select 'invoice', status, account_id is not null, total, paid, subtotal, reduced
from invoice where external_id like :name
union all select 'line', l.description, true, l.position, l.amount, l.tax_amount, 0
from invoice_line l join invoice i on i.id = l.invoice_id where i.external_id like :name
union all select 'payment', status, account_id is not null, captured, refunded, lost, overdrawn
from payment where external_id like :name or charge_id like :name
union all select 'refund', status, account_id is not null, amount, 0, 0, 0
from refund where external_id like :name
union all select 'dispute', status, account_id is not null, amount, 0, 0, 0
from dispute where external_id like :name
union all select 'credit_note', status, account_id is not null, total, reduces, refund_amount, 0
from credit_note where external_id like :name
union all select 'ledger', e.book, true, sum(e.amount), 0, 0, 0
from ledger_entry e where e.account_id = :account_id group by e.book having sum(e.amount) <> 0
order by 1, 2, 4
"""


@dataclass(frozen=True)
class Message:
    """One message: what it calls, at which hour there, under which event id."""

    of: str
    hour: int
    event: str
    values: dict[str, Any]


def messages() -> list[Message]:
    """A story: an invoice is paid, refunded in part, disputed, credited; whose it is comes last."""
    line = LineHeard(description="Business, November", amount=10_000, tax_amount=2_000)
    bill: dict[str, Any] = {
        "customer": "cus",
        "currency": "EUR",
        "lines": [line],
        "subscription": "sub",
        "number": "IN-1",
    }
    money: dict[str, Any] = {"customer": "cus", "currency": "EUR", "amount": 12_000, "invoice": "in"}
    paid: dict[str, Any] = {"status": PaymentStatus.succeeded, "captured": 12_000, "charge": "ch"}
    back: dict[str, Any] = {"currency": "EUR", "amount": 3_000, "payment": "pi", "charge": "ch"}
    taken: dict[str, Any] = {"currency": "EUR", "amount": 4_000, "charge": "ch"}
    plan: dict[str, Any] = {"customer": "cus", "currency": "EUR", "plan": "business", "plan_name": "Business"}
    plan |= {"unit_amount": 10_000, "interval": "month"}
    note: dict[str, Any] = {
        "currency": "EUR",
        "invoice": "in",
        "issued_at": DAY,
        "subtotal": 2_500,
        "tax": 500,
    }
    note |= {"total": 3_000, "refund_amount": 3_000, "status": "issued"}
    return [
        Message("subscription", 0, "e01", plan | {"status": SubscriptionStatus.active, "quantity": 1}),
        Message("subscription", 5, "e02", plan | {"status": SubscriptionStatus.past_due, "quantity": 2}),
        Message("subscription", 6, "e03", plan | {"status": SubscriptionStatus.active, "quantity": 3}),
        Message("subscription", 6, "e00", plan | {"status": SubscriptionStatus.past_due, "quantity": 4}),
        Message("invoice", 1, "e04", bill | {"status": InvoiceStatus.open, "paid": 0}),
        Message("invoice", 2, "e05", bill | {"status": InvoiceStatus.paid, "paid": 12_000}),
        Message("payment", 1, "e06", money | {"status": PaymentStatus.pending, "captured": 0}),
        Message("payment", 2, "e07", money | paid),
        Message("refund", 3, "e08", back | {"status": RefundStatus.pending}),
        Message("refund", 3, "e09", back | {"status": RefundStatus.succeeded}),
        Message("dispute", 4, "e10", taken | {"status": DisputeStatus.needs_response}),
        Message("dispute", 9, "e11", taken | {"status": DisputeStatus.lost}),
        Message("credit_note", 3, "e12", note),
        Message("customer", 8, "e13", {}),
    ]


RECORD: dict[str, tuple[str, Callable[..., Awaitable[Any]]]] = {
    "subscription": ("sub", mirror.record_subscription),
    "invoice": ("in", mirror.record_invoice),
    "payment": ("pi", mirror.record_payment),
    "refund": ("re", mirror.record_refund),
    "dispute": ("dp", mirror.record_dispute),
    "credit_note": ("cn", mirror.record_credit_note),
}
NAMES = ("customer", "subscription", "invoice", "payment", "charge")


async def tell(database: Database, message: Message, *, world: str, account_id: UUID) -> None:
    """Let one message be heard in a transaction of its own; its ids are those of one ``world``."""
    heard = Heard(provider=Provider.sandbox, at=DAY + timedelta(hours=message.hour), event=message.event)
    async with database.session() as session:
        if message.of == "customer":
            await mirror.record_customer(session, heard, f"{world}-cus", account_id=account_id)
            return
        name, record = RECORD[message.of]
        values = {key: f"{world}-{value}" if key in NAMES else value for key, value in message.values.items()}
        await record(session, heard, f"{world}-{name}", **values)


async def told(database: Database, order: Sequence[Message]) -> list[Any]:
    """What the tables and the ledger say after these messages, in a world of their own."""
    world, account_id = f"w{uuid4().hex}", await account(database)
    for message in order:
        await tell(database, message, world=world, account_id=account_id)
    return await state(database, world, account_id)


async def state(database: Database, world: str, account_id: UUID) -> list[Any]:
    """All rows of a world, without their ids and times."""
    async with database.session() as session:
        rows = await session.execute(text(STATE), {"name": f"{world}%", "account_id": account_id})
        return [tuple(row) for row in rows]


async def account(database: Database) -> UUID:
    """A new account."""
    name = f"mirror-{uuid4()}"
    async with database.session() as session:
        return (await identity.upsert_account(session, name, name)).id


async def hand_in(client: httpx.AsyncClient, kind: str, *items: dict[str, Any]) -> httpx.Response:
    """Import items of a kind, with a new idempotency key."""
    body = {"items": list(items)}
    return await client.post(
        f"/v1/billing/{kind}/import", json=body, headers={"Idempotency-Key": f"mirror-{uuid4()}"}
    )
