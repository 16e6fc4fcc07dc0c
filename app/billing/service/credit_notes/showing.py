"""Credit notes and previews as a caller may see them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import convert, structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import RequestStatus
from app.billing.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine, RefundRequest
from app.billing.schemas.credit_notes import (
    CreditNoteLineView,
    CreditNotePreview,
    CreditNoteRefund,
    CreditNoteView,
)
from app.billing.service.credit_notes.planning import Plan
from app.billing.service.refunds.requests import number_of
from app.identity.principal import Principal

OWN = [each.name for each in structs.fields(CreditNoteView) if each.name not in ("lines", "refund_requests")]


async def show(session: AsyncSession, note: CreditNote, *, principal: Principal) -> CreditNoteView:
    """One note."""
    return (await show_all(session, [note], principal=principal))[0]


async def show_all(
    session: AsyncSession, notes: Sequence[CreditNote], *, principal: Principal
) -> list[CreditNoteView]:
    """Notes with their lines and refund requests: two queries for all."""
    keys = [each.id for each in notes]
    lines = await _lines(session, keys)
    refunds = await _refunds(session, keys)
    hidden = {} if principal.is_staff else {"note": None, "issue_id": None, "issued_by_id": None}
    return [
        convert(
            {name: getattr(each, name) for name in OWN}
            | hidden
            | {"lines": lines.get(each.id, []), "refund_requests": refunds.get(each.id, [])},
            CreditNoteView,
        )
        for each in notes
    ]


def show_plan(found: Plan) -> CreditNotePreview:
    """What a note would come to."""
    return CreditNotePreview(
        invoice_id=found.invoice.id,
        currency=found.invoice.currency,
        exponent=found.invoice.exponent,
        subtotal=found.reckoned.subtotal,
        tax=found.reckoned.tax,
        total=found.reckoned.total,
        reduces=found.reduces,
        excess=found.excess,
        refundable=found.refundable,
        lines=[
            CreditNoteLineView(
                position=position,
                invoice_line_id=key,
                label=label_of(found.invoice.number, found.lines[key].position),
                description=found.lines[key].description,
                amount=amount,
                tax_rate=found.lines[key].tax_rate,
                tax_amount=found.reckoned.taxes[key],
            )
            for position, (key, amount) in enumerate(found.reckoned.amounts.items(), start=1)
        ],
    )


def label_of(number: str | None, position: int | None) -> str | None:
    """``invoice INV-12 line 2``; of an invoice without a number ``line 2``."""
    if position is None:
        return None
    return f"line {position}" if number is None else f"invoice {number} line {position}"


async def _lines(session: AsyncSession, keys: Sequence[UUID]) -> dict[UUID, list[CreditNoteLineView]]:
    statement = (
        select(CreditNoteLine, InvoiceLine.position, Invoice.number)
        .outerjoin(InvoiceLine, InvoiceLine.id == CreditNoteLine.invoice_line_id)
        .outerjoin(Invoice, Invoice.id == InvoiceLine.invoice_id)
        .where(CreditNoteLine.credit_note_id.in_(keys))
        .order_by(CreditNoteLine.credit_note_id, CreditNoteLine.position)
    )
    found: dict[UUID, list[CreditNoteLineView]] = {}
    for line, position, number in await session.execute(statement):
        shown = CreditNoteLineView(
            position=line.position,
            invoice_line_id=line.invoice_line_id,
            label=label_of(number, position),
            description=line.description,
            amount=line.amount,
            tax_rate=line.tax_rate,
            tax_amount=line.tax_amount,
        )
        found.setdefault(line.credit_note_id, []).append(shown)
    return found


async def _refunds(session: AsyncSession, keys: Sequence[UUID]) -> dict[UUID, list[CreditNoteRefund]]:
    statement = (
        select(RefundRequest).where(RefundRequest.credit_note_id.in_(keys)).order_by(RefundRequest.number)
    )
    found: dict[UUID, list[CreditNoteRefund]] = {}
    for each in await session.scalars(statement, execution_options={"populate_existing": True}):
        shown = CreditNoteRefund(
            id=each.id,
            number=number_of(each.number),
            payment_id=each.payment_id,
            amount=each.amount,
            status=RequestStatus(each.status),
        )
        assert each.credit_note_id is not None  # by the condition
        found.setdefault(each.credit_note_id, []).append(shown)
    return found
