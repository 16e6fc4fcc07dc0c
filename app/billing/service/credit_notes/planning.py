"""What a credit note would come to: its taxes, what it reduces, and where the rest of it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import (
    OPEN_DISPUTES,
    CreditNoteStatus,
    InvoiceStatus,
    PaymentStatus,
    RequestStatus,
)
from app.billing.exceptions import AllocationMismatchError, NotCreditableError, NotRefundableError
from app.billing.models import (
    CreditNote,
    CreditNoteLine,
    Dispute,
    Invoice,
    InvoiceLine,
    Payment,
    RefundRequest,
)
from app.billing.service.credit_notes.taking import Taken, taken_of
from app.billing.utils.crediting import Billed, Reckoned, reckon, spread

CREDITABLE = frozenset({InvoiceStatus.open, InvoiceStatus.paid, InvoiceStatus.uncollectible})
WAITING = (RequestStatus.requested, RequestStatus.approved)  # neither reserved at the payment nor given up


@dataclass(frozen=True, kw_only=True, slots=True)
class Allocation:
    """Where what is not owed any more goes; minor units."""

    refund: int = 0
    credit: int = 0
    out_of_band: int = 0

    @property
    def total(self) -> int:
        """All three."""
        return self.refund + self.credit + self.out_of_band


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A credit note that could be issued now. ``refundable``: what the refund part may be at most.

    ``refunds``: of which payment how much, the oldest first.
    """

    invoice: Invoice
    lines: Mapping[UUID, InvoiceLine]
    reckoned: Reckoned[UUID]
    reduces: int
    refundable: int
    refunds: Sequence[tuple[Payment, int]]

    @property
    def excess(self) -> int:
        """What of the total is not owed any more: to be refunded, credited or settled elsewhere."""
        return self.reckoned.total - self.reduces


async def plan(
    session: AsyncSession,
    invoice: Invoice,
    payments: Sequence[Payment],
    asked: Sequence[Taken],
    allocation: Allocation | None,
) -> Plan:
    """The note of these lines. Of locked rows it holds until the commit; ``allocation`` None: not looked at.

    ``payments``: all of the invoice's, the oldest first. ``NotCreditableError``, ``NotRefundableError``,
    ``AllocationMismatchError``, ``UnknownReferenceError`` for a line of another invoice, ``InvalidError``.
    """
    if invoice.status not in CREDITABLE:
        raise NotCreditableError(f"An invoice that is {invoice.status} is not credited.", left=0)
    lines = {line.id: line for line in await lines_of(session, invoice.id)}
    billed = await _billed(session, invoice.id, lines)
    reckoned = reckon(billed, taken_of(asked, billed))
    await _check_total(session, invoice, reckoned.total)
    reduces = min(reckoned.total, invoice.owed)
    available = await _available(session, payments)
    found = Plan(
        invoice=invoice,
        lines=lines,
        reckoned=reckoned,
        reduces=reduces,
        refundable=sum(available),
        refunds=_spread(payments, available, allocation.refund if allocation else 0),
    )
    if allocation is not None:
        _check_allocation(found, allocation)
    return found


async def lines_of(session: AsyncSession, invoice_id: UUID) -> Sequence[InvoiceLine]:
    """The invoice's lines, in its order."""
    statement = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice_id).order_by(InvoiceLine.position)
    return (await session.scalars(statement)).all()


async def payments_of(session: AsyncSession, invoice_id: UUID) -> Sequence[Payment]:
    """The invoice's payments that succeeded, the oldest first."""
    statement = (
        select(Payment)
        .where(Payment.invoice_id == invoice_id, Payment.status == PaymentStatus.succeeded)
        .order_by(Payment.paid_at, Payment.id)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def _billed(
    session: AsyncSession, invoice_id: UUID, lines: Mapping[UUID, InvoiceLine]
) -> dict[UUID, Billed]:
    statement = (
        select(
            CreditNoteLine.invoice_line_id,
            func.sum(CreditNoteLine.amount),
            func.sum(CreditNoteLine.tax_amount),
        )
        .join(CreditNote, CreditNote.id == CreditNoteLine.credit_note_id)
        .where(CreditNote.invoice_id == invoice_id, CreditNote.status == CreditNoteStatus.issued)
        .group_by(CreditNoteLine.invoice_line_id)
    )
    before = {key: (int(net), int(tax)) for key, net, tax in await session.execute(statement)}
    return {
        key: Billed(
            amount=line.amount,
            rate=line.tax_rate,
            tax=line.tax_amount,
            credited=before.get(key, (0, 0))[0],
            tax_credited=before.get(key, (0, 0))[1],
        )
        for key, line in lines.items()
    }


async def _check_total(session: AsyncSession, invoice: Invoice, total: int) -> None:
    """Also notes that were heard of, whose lines nobody knows, take of the invoice's total."""
    statement = select(func.coalesce(func.sum(CreditNote.total), 0)).where(
        CreditNote.invoice_id == invoice.id, CreditNote.status == CreditNoteStatus.issued
    )
    left = invoice.total - int(await session.scalar(statement) or 0)
    if total <= 0:
        raise NotCreditableError("These lines come to nothing that could be credited.", left=left)
    if total > left:
        raise NotCreditableError("The invoice does not have that much left to credit.", left=left)


async def _available(session: AsyncSession, payments: Sequence[Payment]) -> list[int]:
    """What of each payment a note may give back: not what another note's refund waits for, and nothing while
    the payment is disputed."""
    keys = [each.id for each in payments]
    disputed = set(
        await session.scalars(
            select(Dispute.payment_id).where(Dispute.payment_id.in_(keys), Dispute.status.in_(OPEN_DISPUTES))
        )
    )
    statement = (
        select(RefundRequest.payment_id, func.sum(RefundRequest.amount))
        .where(
            RefundRequest.payment_id.in_(keys),
            RefundRequest.credit_note_id.is_not(None),
            RefundRequest.status.in_(WAITING),
        )
        .group_by(RefundRequest.payment_id)
    )
    waiting = {key: int(amount) for key, amount in await session.execute(statement)}
    return [
        0 if each.id in disputed else max(0, each.refundable - waiting.get(each.id, 0)) for each in payments
    ]


def _spread(payments: Sequence[Payment], available: Sequence[int], amount: int) -> list[tuple[Payment, int]]:
    parts = spread(amount, available)
    return [(payment, part) for payment, part in zip(payments, parts, strict=True) if part]


def _check_allocation(found: Plan, allocation: Allocation) -> None:
    if allocation.total != found.excess:
        raise AllocationMismatchError(
            f"Of the total, {found.excess} is not owed any more and must be refunded, credited or settled"
            " elsewhere exactly.",
            excess=found.excess,
            reduces=found.reduces,
            total=found.reckoned.total,
            currency=found.invoice.currency,
            exponent=found.invoice.exponent,
        )
    if allocation.refund > found.refundable:
        raise NotRefundableError(
            "The invoice's payments do not have that much left to refund.",
            refundable=found.refundable,
            currency=found.invoice.currency,
            exponent=found.invoice.exponent,
        )
