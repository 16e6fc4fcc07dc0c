"""The ledger's entries, as leads read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Book
from app.billing.models import LedgerEntry, LedgerTransaction
from app.billing.schemas.ledger import LedgerEntryView, LedgerSubject
from app.billing.utils.moments import in_utc
from app.listing import Listing, any_of, within
from app.pagination import Page

LEDGER = Listing(
    LedgerEntry,
    sorts={"id": LedgerEntry.id, "effective_at": LedgerTransaction.effective_at},
    default="-id",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which entries; what is None does not matter. ``as_of``: those that had taken effect by then."""

    account_id: Collection[UUID] | None = None
    payment_id: Collection[UUID] | None = None
    transaction_id: Collection[UUID] | None = None
    book: Collection[Book] | None = None
    currency: Collection[str] | None = None
    subject_type: str | None = None
    subject_id: UUID | None = None
    effective_after: datetime | None = None
    effective_before: datetime | None = None
    as_of: datetime | None = None


async def page(
    session: AsyncSession,
    wanted: Wanted,
    *,
    sort: str | None,
    cursor: str | None,
    limit: int,
    total: bool,
) -> Page[LedgerEntryView]:
    """Entries with what their transactions say, the last written first unless ``sort`` says otherwise."""
    as_of, transaction = in_utc(wanted.as_of, field="as_of"), LedgerTransaction
    statement = (
        select(LedgerEntry)
        .join(transaction, transaction.id == LedgerEntry.transaction_id)
        .where(
            any_of(LedgerEntry.account_id, wanted.account_id),
            any_of(LedgerEntry.payment_id, wanted.payment_id),
            any_of(LedgerEntry.transaction_id, wanted.transaction_id),
            any_of(LedgerEntry.book, wanted.book),
            any_of(LedgerEntry.currency, wanted.currency),
            true() if wanted.subject_type is None else transaction.subject_type == wanted.subject_type,
            true() if wanted.subject_id is None else transaction.subject_id == wanted.subject_id,
            within(
                transaction.effective_at, wanted.effective_after, wanted.effective_before, name="effective"
            ),
            true() if as_of is None else transaction.effective_at <= as_of,
        )
    )
    found = await LEDGER.fetch(
        session, statement, sort=sort, cursor=cursor, limit=limit, filters=asdict(wanted), total=total
    )
    facts = await _transactions(session, {row.transaction_id for row in found.rows})
    return found.page(lambda row: _show(row, facts[row.transaction_id]))


async def _transactions(session: AsyncSession, wanted: Collection[UUID]) -> Mapping[UUID, LedgerTransaction]:
    rows = await session.scalars(select(LedgerTransaction).where(LedgerTransaction.id.in_(wanted)))
    return {row.id: row for row in rows}


def _show(entry: LedgerEntry, transaction: LedgerTransaction) -> LedgerEntryView:
    return LedgerEntryView(
        id=entry.id,
        transaction_id=transaction.id,
        kind=transaction.kind,
        subject_type=LedgerSubject(transaction.subject_type),
        subject_id=transaction.subject_id,
        reverses_id=transaction.reverses_id,
        book=Book(entry.book),
        account_id=entry.account_id,
        payment_id=entry.payment_id,
        amount=entry.amount,
        currency=entry.currency,
        exponent=entry.exponent,
        effective_at=transaction.effective_at,
        recorded_at=transaction.recorded_at,
    )
