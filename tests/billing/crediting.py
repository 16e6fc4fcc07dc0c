"""What tests of credit notes and credits share: invoices with lines, and what the ledger says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from app.billing.models import Invoice, InvoiceLine, Payment
from app.billing.service import ledger
from app.billing.utils.taxes import Line, shares_of, taxes_of
from app.database import Database
from app.identity import service as identity
from tests.billing.refunding import key, pay

NOTES = "/v1/billing/credit-notes"
VECTOR = (6833, 6833, 5750, 8500)


@dataclass
class Bill:
    """An invoice with its lines' ids in their order, and its payments, the oldest first."""

    id: UUID
    account_id: UUID
    number: str
    total: int
    lines: list[UUID]
    payments: list[Payment]


async def bill(
    database: Database,
    amounts: Sequence[int] = VECTOR,
    *,
    rates: Sequence[Decimal] | None = None,
    status: str = "paid",
    payments: Sequence[int] | None = None,
    account_id: UUID | None = None,
) -> Bill:
    """An invoice at 20 % tax unless ``rates`` says otherwise; paid by one payment unless told otherwise."""
    plain = [
        Line(amount=amount, rate=rate)
        for amount, rate in zip(amounts, rates or [Decimal(20)] * len(amounts), strict=True)
    ]
    taxes = taxes_of(plain)
    subtotal, tax = sum(amounts), sum(taxes.values())
    captured = list(payments) if payments is not None else [subtotal + tax] * (status == "paid")
    name = f"INV-{uuid4().hex[:12]}"
    async with database.session() as session:
        if account_id is None:
            account_id = (await identity.upsert_account(session, name, name)).id
        row = Invoice(
            provider="sandbox",
            external_id=name,
            number=name,
            account_id=account_id,
            currency="EUR",
            exponent=2,
            status=status,
            subtotal=subtotal,
            tax=tax,
            total=subtotal + tax,
            paid=sum(captured),
            issued_at=datetime.now(UTC),
        )
        session.add(row)
        await session.flush()
        await session.refresh(row)
        lines = [
            InvoiceLine(
                invoice_id=row.id,
                position=place,
                description=f"Item {place}",
                amount=line.amount,
                tax_rate=line.rate,
                tax_amount=share,
            )
            for place, (line, share) in enumerate(zip(plain, shares_of(plain, taxes), strict=True), start=1)
        ]
        session.add_all(lines)
        await session.flush()
        await ledger.bring_up(session, row)
        keys = [line.id for line in lines]
    made = [await pay(database, captured=each, account_id=account_id, invoice_id=row.id) for each in captured]
    return Bill(row.id, account_id, name, subtotal + tax, keys, made)


def note(of: Bill, lines: dict[int, int | None], **given: Any) -> dict[str, Any]:
    """The body of a note; ``lines``: from the place in the invoice, 0 on, to the net amount."""
    taken = [{"line_id": str(of.lines[place]), "amount": amount} for place, amount in lines.items()]
    return {"invoice_id": str(of.id), "lines": taken, "reason": "billing_error"} | given


async def post(client: httpx.AsyncClient, path: str, /, **body: Any) -> httpx.Response:
    """With a key of its own."""
    return await client.post(path, json=body or None, headers=key())


async def issued(
    client: httpx.AsyncClient, of: Bill, lines: dict[int, int | None], **given: Any
) -> dict[str, Any]:
    """A note that is issued over HTTP; what is not owed any more is settled elsewhere unless told."""
    body = note(of, lines, **given)
    if not given.keys() & {"refund_amount", "credit_amount", "out_of_band_amount"}:
        seen = await client.post(f"{NOTES}/preview", json=body)
        assert seen.status_code == 200, seen.text
        body["out_of_band_amount"] = seen.json()["excess"]
    answer = await post(client, NOTES, **body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def account_books(database: Database, account_id: UUID) -> Counter[str]:
    """What the ledger says of an account, by book."""
    statement = text("select book, sum(amount) from ledger_entry where account_id = :of group by book")
    async with database.session() as session:
        rows = await session.execute(statement, {"of": account_id})
        return Counter({book: int(amount) for book, amount in rows if amount})
