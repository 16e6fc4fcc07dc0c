"""Issuing credit notes, and seeing beforehand what one would come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import NOTE_NUMBER, Provider, RefundReason
from app.billing.exceptions import UnknownReferenceError
from app.billing.models import CreditNote, CreditNoteLine, Invoice, Payment
from app.billing.service import cases, ledger
from app.billing.service import payments as money
from app.billing.service.access import money_of
from app.billing.service.credit_notes.changes import FRESH, record
from app.billing.service.credit_notes.planning import Allocation, Plan, payments_of, plan
from app.billing.service.credit_notes.reducing import reduce
from app.billing.service.credit_notes.taking import Taken
from app.billing.service.refunds import requests
from app.identity.principal import Principal
from app.redaction import redact

NEXT = text("select nextval('credit_note_number')")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A note that somebody wants to issue."""

    invoice_id: UUID
    lines: Sequence[Taken]
    allocation: Allocation
    reason: RefundReason
    note: str = ""
    case_id: UUID | None = None
    issue_id: UUID | None = None


async def preview(session: AsyncSession, wanted: Wanted, *, actor: Principal) -> Plan:
    """What ``create`` would issue now, without a lock or an effect; its errors.

    An allocation of nothing is not looked at: the answer says what there is to allocate.
    """
    invoice = await _invoice(session, wanted.invoice_id, actor)
    payments = await payments_of(session, invoice.id)
    allocation = wanted.allocation if wanted.allocation.total else None
    return await plan(session, invoice, payments, wanted.lines, allocation)


async def create(session: AsyncSession, wanted: Wanted, *, actor: Principal) -> CreditNote:
    """Issue the note: the invoice owes less, lines and taxes are taken, the refund part is requested.

    ``UnknownReferenceError``, ``NotCreditableError``, ``AllocationMismatchError``, ``NotRefundableError``,
    ``InvalidError``.
    """
    invoice = await _invoice(session, wanted.invoice_id, actor, locked=True)
    payments = await _lock_payments(session, invoice.id)
    found = await plan(session, invoice, payments, wanted.lines, wanted.allocation)
    if wanted.case_id is not None:
        await cases.check(session, wanted.case_id, account_id=invoice.account_id, principal=actor)
    note = await _insert(session, found, wanted, actor)
    await reduce(session, invoice, actor=actor)
    await ledger.bring_up(session, note)
    await record(session, "credit_note.created", note, actor=actor)
    for payment, part in found.refunds:
        await requests.create(
            session,
            actor=actor,
            payment_id=payment.id,
            amount=part,
            currency=payment.currency,
            reason=wanted.reason,
            note=wanted.note,
            case_id=wanted.case_id,
            issue_id=wanted.issue_id,
            credit_note_id=note.id,
        )
    return note


async def _invoice(
    session: AsyncSession, invoice_id: UUID, actor: Principal, *, locked: bool = False
) -> Invoice:
    statement = select(Invoice).where(Invoice.id == invoice_id, money_of(actor, Invoice.account_id))
    if locked:
        statement = statement.with_for_update(key_share=True)
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise UnknownReferenceError(
            "There is no such invoice.",
            field="invoice_id",
            errors=[{"field": "invoice_id", "message": "Unknown"}],
        )
    return found


async def _lock_payments(session: AsyncSession, invoice_id: UUID) -> Sequence[Payment]:
    keys = await session.scalars(select(Payment.id).where(Payment.invoice_id == invoice_id))
    for key in sorted(keys):
        await money.lock(session, key)
    return await payments_of(session, invoice_id)


async def _insert(session: AsyncSession, found: Plan, wanted: Wanted, actor: Principal) -> CreditNote:
    invoice, reckoned = found.invoice, found.reckoned
    number = NOTE_NUMBER.format(int(await session.scalar(NEXT) or 0))
    values: dict[str, Any] = {
        "provider": str(Provider.tridesk),
        "external_id": number,
        "number": number,
        "customer_id": invoice.customer_id,
        "account_id": invoice.account_id,
        "invoice_id": invoice.id,
        "case_id": wanted.case_id,
        "issue_id": wanted.issue_id,
        "reason": str(wanted.reason),
        "note": redact(wanted.note),
        "currency": invoice.currency,
        "exponent": invoice.exponent,
        "subtotal": reckoned.subtotal,
        "tax": reckoned.tax,
        "total": reckoned.total,
        "reduces": found.reduces,
        "refund_amount": wanted.allocation.refund,
        "credit_amount": wanted.allocation.credit,
        "out_of_band_amount": wanted.allocation.out_of_band,
        "issued_by_id": actor.person_id,
        "issued_at": func.clock_timestamp(),  # after the lock: notes of an invoice are in their order
    }
    note = (await session.scalars(insert(CreditNote).values(values).returning(CreditNote))).one()
    lines = [
        {
            "credit_note_id": note.id,
            "position": position,
            "invoice_line_id": key,
            "description": found.lines[key].description,
            "amount": amount,
            "tax_rate": found.lines[key].tax_rate,
            "tax_amount": reckoned.taxes[key],
        }
        for position, (key, amount) in enumerate(reckoned.amounts.items(), start=1)
    ]
    await session.execute(insert(CreditNoteLine).values(lines))
    return note
