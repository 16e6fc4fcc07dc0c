"""What tests of refunds share: a payment to refund, people who act, a provider that does as it is told."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import RefundStatus
from app.billing.models import Dispute, Payment
from app.billing.providers.base import (
    ProviderRefusedError,
    ProviderUnknownError,
    RefundOrder,
    RefundReceipt,
)
from app.billing.service import ledger, payments
from app.database import Database
from app.identity import service as identity

ROUTE = "/v1/billing/refund-requests"
_numbers = itertools.count(1)


@dataclass
class ToldProvider:
    """A provider in memory: each call does the next thing of ``script``, or succeeds.

    Calls for other payments than ``payment`` succeed unnoticed: a sweep finds what other tests left behind.
    """

    name: str = "sandbox"
    payment: str | None = None
    script: list[str] = field(default_factory=list)
    calls: list[RefundOrder] = field(default_factory=list)
    made: dict[UUID, int] = field(default_factory=dict)
    meanwhile: Callable[[RefundOrder], Awaitable[None]] | None = None

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        if self.payment not in {None, order.payment}:
            return RefundReceipt(external_id=f"re_{order.refund_id.hex}", status=RefundStatus.succeeded)
        self.calls.append(order)
        if self.meanwhile is not None:
            await self.meanwhile(order)
        said = self.script.pop(0) if self.script else "succeed"
        if said == "refuse":
            raise ProviderRefusedError("charge_disputed")
        if said == "break":
            raise RuntimeError("a mistake of the client library")
        if said != "lose_request":
            self.made[order.refund_id] = order.amount
        if said in {"lose_request", "lose_answer"}:
            raise ProviderUnknownError
        status = RefundStatus.pending if said == "pend" else RefundStatus.succeeded
        return RefundReceipt(external_id=f"re_{order.refund_id.hex}", status=status)

    async def submit_evidence(self, dispute: str, evidence: Mapping[str, str]) -> None:
        raise ProviderUnknownError


async def pay(
    database: Database,
    *,
    captured: int = 10_000,
    currency: str = "EUR",
    account_id: UUID | None = None,
    invoice_id: UUID | None = None,
    provider: str = "sandbox",
) -> Payment:
    """A payment of an account that was captured, posted in the ledger."""
    name = f"refunds-{uuid4()}"
    async with database.session() as session:
        if account_id is None:
            account_id = (await identity.upsert_account(session, name, name)).id
        row = Payment(
            provider=provider,
            external_id=f"pi_{uuid4().hex}",
            charge_id=f"ch_{uuid4().hex}",
            account_id=account_id,
            invoice_id=invoice_id,
            currency=currency,
            exponent=2,
            status="succeeded",
            amount=captured,
            captured=captured,
            paid_at=datetime.now(UTC),
        )
        session.add(row)
        await session.flush()
        await session.refresh(row)
        await ledger.bring_up(session, row)
    return row


async def dispute(
    database: Database,
    payment_id: UUID,
    *,
    amount: int,
    status: str = "needs_response",
    session: AsyncSession | None = None,
) -> UUID:
    """A dispute that the provider tells of, in a transaction of its own unless there is one."""
    if session is None:
        async with database.session() as own:
            return await dispute(database, payment_id, amount=amount, status=status, session=own)
    payment = await payments.lock(session, payment_id)
    row = Dispute(
        provider=payment.provider,
        external_id=f"dp_{uuid4().hex}",
        account_id=payment.account_id,
        payment_id=payment_id,
        currency=payment.currency,
        exponent=payment.exponent,
        status=status,
        amount=amount,
        opened_at=datetime.now(UTC),
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await payments.recount(session, payment, heard=True)
    await ledger.bring_up(session, row)
    return row.id


async def end_dispute(database: Database, dispute_id: UUID, status: str) -> None:
    """Won or lost."""
    async with database.session() as session:
        row = await session.get_one(Dispute, dispute_id)
        payment = await payments.lock(session, row.payment_id)
        row.status, row.closed_at = status, datetime.now(UTC)
        await session.flush()
        await session.refresh(row)
        await payments.recount(session, payment, heard=True)
        await ledger.bring_up(session, row)


def key() -> dict[str, str]:
    """A new idempotency key."""
    return {"Idempotency-Key": f"refunds-{next(_numbers)}-{uuid4()}"}


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    """With a key of its own."""
    return await client.post(f"{ROUTE}{path}", json=body or None, headers=key())


def asked(payment: Payment, amount: int = 1_000, **given: Any) -> dict[str, Any]:
    """The body of a request for a refund."""
    return {
        "payment_id": str(payment.id),
        "amount": amount,
        "currency": payment.currency,
        "reason": "duplicate",
    } | given


async def books(database: Database, payment_id: UUID) -> Counter[str]:
    """What the ledger says of a payment, by book."""
    statement = text("select book, sum(amount) from ledger_entry where payment_id = :of group by book")
    async with database.session() as session:
        rows = await session.execute(statement, {"of": payment_id})
        return Counter({book: int(amount) for book, amount in rows if amount})
