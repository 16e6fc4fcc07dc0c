"""The ledger and what it says of an account."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import Book
from app.billing.schemas.money import CurrencyCode, Exponent


class LedgerSubject(StrEnum):
    """What a transaction is about."""

    invoice = "invoice"
    payment = "payment"
    refund = "refund"
    dispute = "dispute"
    credit_note = "credit_note"
    credit_grant = "credit_grant"


class AccountBalance(Struct, frozen=True, kw_only=True):
    """An account's books in one currency, in minor units."""

    currency: CurrencyCode
    exponent: Exponent
    owed: Annotated[int, Meta(description="Invoiced and not paid yet; negative when more was paid.")]
    credit: Annotated[int, Meta(description="Credit that the account has for its next invoices.")]
    paid: Annotated[int, Meta(description="Captured by payments.")]
    refunded: Annotated[int, Meta(description="Refunded or reserved for refunds.")]
    refunds_pending: Annotated[int, Meta(description="Of that, reserved and not paid out yet.")]
    disputed: Annotated[int, Meta(description="Held by open disputes.")]
    lost: Annotated[int, Meta(description="Lost to disputes.")]
    net_paid: Annotated[int, Meta(description="Paid, less what was paid back or taken by disputes.")]
    goodwill: Annotated[int, Meta(description="Credit that was given.")]


class AccountBalances(Struct, frozen=True, kw_only=True):
    """An account's books at a moment, one entry a currency; none while nothing was ever booked."""

    account_id: UUID
    as_of: Annotated[datetime | None, Meta(description="The moment asked for; null: now.")]
    balances: list[AccountBalance]


class LedgerEntryView(Struct, frozen=True, kw_only=True):
    """One entry, with the transaction that it belongs to. Entries are never changed."""

    id: int
    transaction_id: UUID
    kind: Annotated[str, Meta(examples=["payment"])]
    subject_type: LedgerSubject
    subject_id: UUID
    reverses_id: Annotated[UUID | None, Meta(description="The transaction that this one takes back.")]
    book: Book
    account_id: UUID | None
    payment_id: UUID | None
    amount: Annotated[int, Meta(description="In minor units; a debit is positive.")]
    currency: CurrencyCode
    exponent: Exponent
    effective_at: Annotated[datetime, Meta(description="When it happened.")]
    recorded_at: Annotated[datetime, Meta(description="When it was written here.")]


class LedgerBook(Struct, frozen=True, kw_only=True):
    """A book's balance in a currency, over all accounts."""

    book: str
    currency: str
    exponent: int
    amount: int
    entries: int


class LedgerViolation(Struct, frozen=True, kw_only=True):
    """Something that does not hold: what rule, of what thing, how."""

    violation: str
    thing: str
    detail: str


class LedgerReport(Struct, frozen=True, kw_only=True):
    """What a verification found.

    ``violations``: of the ledger itself; ``differences``: between it and the desk's rows; ``overdrawn``:
    payments of which the provider gave back more than was captured, which its rows say too.
    """

    transactions: int
    entries: int
    payments: int
    books: list[LedgerBook]
    violations: list[LedgerViolation]
    differences: list[LedgerViolation]
    overdrawn: list[LedgerViolation]

    @property
    def holds(self) -> bool:
        """Whether everything was proved."""
        return not self.violations and not self.differences
