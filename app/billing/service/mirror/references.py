"""Things that a message names by the provider's ids; those that nobody has heard of become unknown rows."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.models import Case, Dispute, Invoice, Payment, Refund, RefundRequest, Subscription
from app.billing.service import payments
from app.billing.service.mirror.hearing import FRESH, Heard, locked
from app.billing.utils.money import exponent_of

# Two ids of one payment: a message that knows one of them and a message that knows both do not cross.
ONE_BY_ONE = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")


async def link_payment(
    session: AsyncSession,
    heard: Heard,
    invoice: str,
    *,
    payment: str | None,
    charge: str | None,
    currency: str,
) -> None:
    """Which payment paid an invoice, where neither of them says so itself."""
    bill = await invoice_row(session, heard, invoice, currency)
    row = await payment_row(session, heard, payment=payment, charge=charge, currency=currency)
    if row.invoice_id is None:
        row.invoice_id = bill.id
        row.version += 1
        await session.flush()


async def payment_row(
    session: AsyncSession, heard: Heard, *, payment: str | None, charge: str | None, currency: str
) -> Payment:
    """The payment, locked, by either of its ids; a row of status ``unknown`` when nobody has heard of it.

    A payment that was first heard of by its charge gets its own id when that is told.
    """
    if charge is not None:
        await session.execute(ONE_BY_ONE, {"name": f"billing charge {heard.provider} {charge}"})
        statement = select(Payment).where(Payment.provider == heard.provider, Payment.charge_id == charge)
        row = await session.scalar(statement.with_for_update(key_share=True), execution_options=FRESH)
        if row is None and payment != charge:
            statement = select(Payment).where(
                Payment.provider == heard.provider, Payment.external_id == charge
            )
            row = await session.scalar(statement.with_for_update(key_share=True), execution_options=FRESH)
            if row is not None and payment is not None:
                row = await _named(session, heard, row, payment=payment, charge=charge)
        if row is not None:
            return row
    name = payment or charge
    assert name is not None  # callers give one of them
    stub = stub_of(currency) | ({"charge_id": charge} if payment is not None and charge is not None else {})
    row, _ = await locked(session, Payment, heard, name, stub)
    if row.charge_id is None and "charge_id" in stub:
        row.charge_id = charge
        await session.flush()
    return row


async def _named(session: AsyncSession, heard: Heard, stub: Payment, *, payment: str, charge: str) -> Payment:
    """A locked payment that was heard of by its charge alone, now that its own id is told.

    Where that payment was heard of, too, what names the other one names it from now on.
    """
    statement = select(Payment).where(Payment.provider == heard.provider, Payment.external_id == payment)
    real = await session.scalar(statement.with_for_update(key_share=True), execution_options=FRESH)
    if real is None:
        stub.external_id, stub.charge_id = payment, charge
        await session.flush()
        return stub
    for model in (Refund, Dispute, RefundRequest, Case):
        moved = update(model).where(model.payment_id == stub.id).values(payment_id=real.id)
        await session.execute(moved, execution_options={"synchronize_session": False})
    session.expunge(stub)
    await session.execute(delete(Payment).where(Payment.id == stub.id))
    real.charge_id = charge
    await session.flush()
    await payments.recount(session, real, heard=True)
    return real


async def invoice_row(session: AsyncSession, heard: Heard, external_id: str, currency: str) -> Invoice:
    row, _ = await locked(session, Invoice, heard, external_id, stub_of(currency))
    return row


async def subscription_id(
    session: AsyncSession, heard: Heard, external_id: str, currency: str
) -> UUID | None:
    stub = stub_of(currency) | {
        "plan": "",
        "plan_name": "",
        "status": "incomplete",
        "unit_amount": 0,
        "interval": "month",
    }
    row, _ = await locked(session, Subscription, heard, external_id, stub)
    return row.id


def stub_of(currency: str) -> dict[str, Any]:
    return {"currency": currency, "exponent": exponent_of(currency)}


def _owner(row: Any) -> dict[str, Any]:
    return {"customer_id": row.customer_id, "account_id": row.account_id}
