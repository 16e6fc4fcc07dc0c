"""What the ledger should say about each thing, from the thing's state alone.

Signed amounts, a debit is positive. The books of a payment carry its id, so that the entries alone prove what
may be refunded: the debits of ``refunds`` under a payment never exceed its credits of ``receivable`` less its
debits of ``disputes_lost``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.billing.constants import (
    OPEN_DISPUTES,
    Book,
    CreditNoteStatus,
    DisputeStatus,
    InvoiceStatus,
    PaymentStatus,
    RefundStatus,
)
from app.billing.models import CreditGrant, CreditNote, Dispute, Invoice, Payment, Refund

OWED = frozenset({InvoiceStatus.open, InvoiceStatus.paid, InvoiceStatus.uncollectible})
TAKEN = OPEN_DISPUTES | {DisputeStatus.lost}

Posted = Invoice | Payment | Refund | Dispute | CreditNote | CreditGrant
Leg = tuple[Book, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """One fact: ``kind`` of a thing, its legs (which sum to zero), when it took effect."""

    kind: str
    legs: Sequence[Leg]
    effective_at: datetime
    payment_id: UUID | None = None


def wanted(row: Posted) -> list[Posting]:
    """The postings that hold for the row as it is; legs of nothing are left out, and so is what has none."""
    if isinstance(row, Invoice):
        postings = _of_invoice(row)
    elif isinstance(row, Payment):
        postings = _of_payment(row)
    elif isinstance(row, Refund):
        postings = _of_refund(row)
    elif isinstance(row, Dispute):
        postings = _of_dispute(row)
    elif isinstance(row, CreditNote):
        postings = _of_note(row)
    else:
        postings = _of_grant(row)
    kept = [(each, [leg for leg in each.legs if leg[1]]) for each in postings]
    return [replace(each, legs=legs) for each, legs in kept if legs]


def _of_invoice(row: Invoice) -> list[Posting]:
    if row.status not in OWED:
        return []
    at = row.issued_at or row.created_at
    legs = [(Book.receivable, row.total), (Book.revenue, -row.subtotal), (Book.tax, -row.tax)]
    found = [Posting(kind="invoice", legs=legs, effective_at=at)]
    credit = [(Book.customer_credit, row.credit_applied), (Book.receivable, -row.credit_applied)]
    found.append(Posting(kind="credit_applied", legs=credit, effective_at=at))
    if row.status == InvoiceStatus.uncollectible:
        lost = [(Book.bad_debt, row.owed), (Book.receivable, -row.owed)]
        found.append(Posting(kind="uncollectible", legs=lost, effective_at=row.seen_at or at))
    return found


def _of_payment(row: Payment) -> list[Posting]:
    if row.status != PaymentStatus.succeeded:
        return []
    legs = [(Book.cash, row.captured), (Book.receivable, -row.captured)]
    at = row.paid_at or row.created_at
    return [Posting(kind="payment", legs=legs, effective_at=at, payment_id=row.id)]


def _of_refund(row: Refund) -> list[Posting]:
    """A reserve is a debt of ours until the provider has paid it out."""
    if row.status not in (RefundStatus.pending, RefundStatus.succeeded):
        return []
    reserve = [(Book.refunds, row.amount), (Book.refunds_payable, -row.amount)]
    paid = [(Book.refunds_payable, row.amount), (Book.cash, -row.amount)]
    at = row.succeeded_at or row.created_at  # of one that was imported this is long before its row
    began = min(row.created_at, at)
    found = [Posting(kind="reserve", legs=reserve, effective_at=began, payment_id=row.payment_id)]
    if row.status == RefundStatus.succeeded:
        found.append(Posting(kind="settle", legs=paid, effective_at=at, payment_id=row.payment_id))
    return found


def _of_dispute(row: Dispute) -> list[Posting]:
    if row.status not in TAKEN:
        return []
    opened = row.opened_at or row.created_at
    held = [(Book.disputes_held, row.amount), (Book.cash, -row.amount)]
    found = [Posting(kind="held", legs=held, effective_at=opened, payment_id=row.payment_id)]
    if row.status == DisputeStatus.lost:
        lost = [(Book.disputes_lost, row.amount), (Book.disputes_held, -row.amount)]
        at = row.closed_at or opened
        found.append(Posting(kind="lost", legs=lost, effective_at=at, payment_id=row.payment_id))
    return found


def _of_note(row: CreditNote) -> list[Posting]:
    if row.status != CreditNoteStatus.issued:
        return []
    legs = [
        (Book.revenue, row.subtotal),
        (Book.tax, row.tax),
        (Book.receivable, -row.reduces),
        (Book.refunds, -row.refund_amount),
        (Book.customer_credit, -row.credit_amount),
        (Book.out_of_band, -row.out_of_band_amount),
    ]
    return [Posting(kind="credit_note", legs=legs, effective_at=row.issued_at)]


def _of_grant(row: CreditGrant) -> list[Posting]:
    if row.voided_at is not None:
        return []
    legs = [(Book.goodwill, row.amount), (Book.customer_credit, -row.amount)]
    return [Posting(kind="credit_grant", legs=legs, effective_at=row.granted_at)]


def ended_at(row: Posted) -> datetime | None:
    """When what was posted about the row ceased to hold, as far as the row knows."""
    if isinstance(row, Refund):
        return row.failed_at
    if isinstance(row, Dispute):
        return row.closed_at
    return None if isinstance(row, Payment) else row.voided_at
